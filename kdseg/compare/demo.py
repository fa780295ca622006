"""The whole job on a generated set of angiograms: what ``kdseg demo`` runs."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from kdseg.configuration import bundle_folder, run_bundle, with_literal_paths
from kdseg.data import MaskReader
from kdseg.deploy import Prediction, Student, evaluate, evaluation_data, load, milliseconds_per_image, predict_files
from kdseg.errors import UserError
from kdseg.files import whole_file
from kdseg.networks import count_macs, count_parameters
from kdseg.pictures.overlay import OverlayRow, overlay_picture
from kdseg.task import open_trained, read_task

__all__ = ["Demo"]

LAYERS = {"teacher": ["train", "train_teacher"], "student_alone": ["train"], "student_distilled": ["train", "distill"]}
"""The arms: key in the summary → configuration files."""


@dataclass
class Demo:
    """Phantoms → data list → teacher → student alone → student distilled → evaluation → masks of one DICOM file.

    The sizes keep it under five minutes on two CPU cores. All arms have the same number of steps; the two students
    share their first weights, their batches and their augmentation too.
    """

    out: Path  # folder for everything; what is there already of the same settings is not done again
    images: int = 60  # labelled phantoms
    size: int = 256  # of an image, in pixels
    epochs: int = 10
    steps: int = 20  # of each epoch, with 8 crops of 128×128 pixels
    teacher_channels: int = 16  # width of the teacher's first level; the published teacher has 64
    method: str = "recommended"  # the distillation method
    seed: int = 0  # of the phantoms, the split, the weights and the batches
    say: Callable[[str], None] = print  # is told what happens

    def run(self) -> dict[str, Any]:
        """Do the whole job; the content of ``summary.json``.

        Raises:
            UserError: when something that the demo announces was not made.
        """
        started = time.perf_counter()
        bundle = bundle_folder("coronary_angiogram")
        self._make_data()
        arms: dict[str, dict[str, Any]] = {}
        for number, (arm, layers) in enumerate(LAYERS.items(), start=3):
            self.say(f"{number}/6  train the {arm.replace('_', ' ')}: {self.epochs * self.steps} steps")
            run_bundle(bundle, layers, with_literal_paths(self._settings(arm)))
            arms[arm] = self._measure(arm)
        cine, truth = _first_cine(self.out / "data")
        self.say(f"6/6  masks of {cine.name}, every frame")
        student = load(self.out / "student_distilled", frame="all")
        segmented = predict_files(student, cine, self.out / "masks", overwrite=True)
        overlap = _check_masks(cine, truth, segmented)
        if overlap == 0 < arms["student_distilled"]["dice"]:
            raise _unexpected(self.out / "masks", "masks that miss the vessels", "masks on the vessels")
        self._draw()
        summary = {**arms, "method": self.method, "seed": self.seed, "cine_dice": round(overlap, 4)}
        summary["seconds"] = round(time.perf_counter() - started, 1)
        summary["versions"] = {name: metadata.version(name) for name in ("kdseg", "torch", "monai", "pytorch-ignite")}
        with whole_file(self.out / "summary.json") as path:
            path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        self.say(_table(arms, self.method))
        return summary

    def _make_data(self) -> None:
        from kdseg.data.prepare import prepare
        from kdseg.phantom import write_phantom_set

        source = self.out / "data"
        self.say(f"1/6  {self.images} phantom angiograms as XA DICOM in {source}")
        if not source.is_dir():
            write_phantom_set(source, count=self.images, size=self.size, seed=self.seed)
        self.say("2/6  data list: split by patient, every case checked")
        prepare(source, self.out / "list.json", **read_task(bundle_folder("coronary_angiogram")).data, seed=self.seed)

    def _settings(self, arm: str) -> dict[str, Any]:
        settings = {
            "datalist": str(self.out / "list.json"),
            "output_dir": str(self.out / arm),
            "seed": self.seed,
            "epochs": self.epochs,
            "steps_per_epoch": self.steps,
            # the bundle's rate is for fifty times as many steps
            "learning_rate": 0.005,
            "val_interval": min(5, self.epochs),
            "teacher_def#base_channels": self.teacher_channels,
        }
        if arm == "student_distilled":
            settings |= {"method": self.method, "teacher": str(self.out / "teacher")}
        return settings

    def _measure(self, arm: str) -> dict[str, Any]:
        """Sizes, speed and scores of a trained arm."""
        trained = open_trained(self.out / arm)
        network = trained.network()
        summary, _ = evaluate(trained, self.out / "list.json")
        shape = (1, 1, self.size, self.size)
        return {
            "params": count_parameters(network),
            "macs": count_macs(network, shape),
            "ms_per_image": round(milliseconds_per_image(network, shape), 2),
            "dice": round(summary["metrics"]["dice"]["mean"], 4),
            "cldice": round(summary["metrics"]["cldice"]["mean"], 4),
        }

    def _draw(self) -> None:
        """Three test cases, from the best to the worst of the student alone, as every arm sees them."""
        table = self.out / "student_alone" / "evaluation_test" / "cases.csv"
        with table.open(encoding="utf-8", newline="") as stream:
            ranked = sorted(csv.DictReader(stream), key=lambda row: -float(row["dice"]))
        wanted = [ranked[round(place * (len(ranked) - 1))]["case"] for place in (0.0, 0.5, 1.0)]
        students = {arm: Student(self.out / arm) for arm in LAYERS}
        data = evaluation_data(students["teacher"].task, self.out / "list.json")
        cases = {data[number]["case"]: data[number] for number in range(len(data))}
        titles = ("teacher", "alone", f"distilled ({self.method})")
        rows = []
        for case in wanted:
            # MONAI's first spatial axis is the picture's width
            image, truth = (np.asarray(cases[case][key])[0].T for key in ("image", "label"))
            masks = [student.masks(cases[case], student.prepare)[0].numpy().T for student in students.values()]
            rows.append(OverlayRow(case, image, truth, dict(zip(titles, masks, strict=True))))
        overlay_picture(rows, self.out / "overlay.png")


def _first_cine(folder: Path) -> tuple[Path, Path]:
    """The first file with several frames, and the mask of one of them."""
    import pydicom

    paths = sorted((folder / "images").glob("*.dcm"))
    frames = {path: int(pydicom.dcmread(path, stop_before_pixels=True).get("NumberOfFrames", 1)) for path in paths}
    cine = next((path for path in paths if frames[path] > 1), paths[0])
    return cine, next((folder / "masks").glob(f"{cine.stem}.*"))


def _check_masks(cine: Path, truth: Path, done: Prediction) -> float:
    """The best Dice that a frame of the predicted masks has with the truth of one frame.

    Raises:
        UserError: when there is no mask, or not one of every frame in the size of the file.
    """
    import nibabel
    import pydicom

    header = pydicom.dcmread(cine, stop_before_pixels=True)
    expected = (int(header.Columns), int(header.Rows), 1, int(header.get("NumberOfFrames", 1)))
    path = Path(done.cases[0]["output"]) if done.cases else done.output_dir
    masks = np.asanyarray(nibabel.load(path).dataobj) if path.is_file() else np.zeros(0)  # type: ignore[attr-defined]
    if masks.shape != expected:
        found = f"masks of the shape {masks.shape} {'; '.join(done.set_aside)}"
        raise _unexpected(path, found, f"a mask of every frame, {expected}")
    label = MaskReader(frame=0).get_data([truth])[0][0] > 0
    frames = (masks > 0).reshape(*masks.shape[:2], -1).transpose(2, 0, 1)
    return max(2 * float((frame & label).sum()) / max(int(frame.sum() + label.sum()), 1) for frame in frames)


def _unexpected(where: Path, found: str, expected: str) -> UserError:
    fix = "run the demo anew in another folder; if it happens again, please report it"
    return UserError(where, found=found, expected=expected, fix=fix)


def _table(arms: Mapping[str, Mapping[str, Any]], method: str) -> str:
    names = dict(zip(LAYERS, ("teacher", "student alone", f"student, {method}"), strict=True))
    rows: list[Sequence[object]] = [
        [names[arm], *(own[key] for key in ("params", "macs", "ms_per_image", "dice", "cldice"))]
        for arm, own in ((arm, {**values, "macs": values["macs"] / 1e9}) for arm, values in arms.items())
    ]
    headers = ["network", "parameters", "GMAC", "ms per image", "Dice", "clDice"]
    return tabulate(rows, headers, floatfmt=("", "", ".2f", ".1f", ".3f", ".3f"), intfmt=",")
