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
import torch
from torch import nn

from kdseg.configuration import bundle_folder, run_bundle
from kdseg.experiments.table import text_table
from kdseg.files import whole_file

__all__ = ["Demo"]

LAYERS = {
    "teacher": ["train", "train_teacher"],
    "student_alone": ["train"],
    "student_distilled": ["train", "distill"],
}
"""The arms: key in the summary → configuration files."""


@dataclass
class Demo:
    """Phantoms → data list → teacher → student alone → student distilled → evaluation → masks of one DICOM file.

    The sizes keep it under five minutes on two CPU cores. All arms have the same number of steps; the two students
    share
    their first weights, their batches and their augmentation too.

    Args:
        out: folder for everything; what is there already of the same settings is not done again.
        images: labelled phantoms.
        size: of an image, in pixels.
        epochs: of ``steps`` steps each.
        steps: of 8 crops of 128×128 pixels.
        teacher_channels: width of the teacher's first level; the published teacher has 64.
        method: the distillation method.
        seed: of the phantoms, the split, the weights and the batches.
        say: is told what happens.
    """

    out: Path
    images: int = 60
    size: int = 256
    epochs: int = 10
    steps: int = 20
    teacher_channels: int = 16
    method: str = "kd"
    seed: int = 0
    say: Callable[[str], None] = print

    def run(self) -> dict[str, Any]:
        """Do the whole job; the content of ``summary.json``."""
        started = time.perf_counter()
        bundle = bundle_folder("coronary_angiogram")
        self._make_data()
        arms: dict[str, dict[str, Any]] = {}
        pictures: dict[str, dict[str, Any]] = {}
        for number, (arm, layers) in enumerate(LAYERS.items(), start=3):
            self.say(f"{number}/6  train the {arm.replace('_', ' ')}: {self.epochs * self.steps} steps")
            settings = self._settings(arm)
            run_bundle(bundle, layers, settings)
            arms[arm], pictures[arm] = self._measure(bundle, arm, settings)
        cine = _first_cine(self.out / "data" / "images")
        self.say(f"6/6  masks of {cine.name}, every frame")
        segmented = {"dataset_dir": str(cine), "output_dir": str(self.out / "masks")}
        segmented["checkpoint"] = str(self.out / "student_distilled" / "model.pt")
        run_bundle(bundle, ["inference"], segmented, kind="infer")
        self._draw(pictures)
        summary = {**arms, "method": self.method, "seed": self.seed, "seconds": round(time.perf_counter() - started, 1)}
        summary["versions"] = {name: metadata.version(name) for name in ("kdseg", "torch", "monai", "pytorch-ignite")}
        with whole_file(self.out / "summary.json") as path:
            path.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
        self.say(_table(arms, self.method))
        return summary

    def _make_data(self) -> None:
        from kdseg.data.phantom import write_phantom_set
        from kdseg.data.prepare import prepare

        source = self.out / "data"
        self.say(f"1/6  {self.images} phantom angiograms as XA DICOM in {source}")
        if not source.is_dir():
            write_phantom_set(source, count=self.images, size=self.size, seed=self.seed)
        self.say("2/6  data list: split by patient, every case checked")
        prepare("coronary_angiogram", source, self.out / "list.json", seed=self.seed)

    def _settings(self, arm: str) -> dict[str, Any]:
        settings = {
            "datalist": str(self.out / "list.json"),
            "output_dir": str(self.out / arm),
            "seed": self.seed,
            "epochs": self.epochs,
            "steps_per_epoch": self.steps,
            "val_interval": min(5, self.epochs),
            "teacher_def#base_channels": self.teacher_channels,
        }
        if arm == "student_distilled":
            settings |= {"method": self.method, "teacher": str(self.out / "teacher" / "model.pt")}
        return settings

    def _measure(self, bundle: Path, arm: str, settings: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Sizes, speed and scores of a trained arm, and its masks of the test cases for the picture."""
        from kdseg.deploy.latency import milliseconds_per_image
        from kdseg.networks.count import count_macs, count_parameters

        layers = [*(layer for layer in LAYERS[arm] if layer != "distill"), "evaluate"]
        known = {key: value for key, value in settings.items() if key not in ("method", "teacher")}
        workflow = run_bundle(bundle, layers, known)
        student: nn.Module = workflow.parser.get_parsed_content("student")
        scores = json.loads((self.out / arm / "evaluation_test" / "summary.json").read_text(encoding="utf-8"))[
            "metrics"
        ]
        shape = (1, 1, self.size, self.size)
        values = {
            "params": count_parameters(student),
            "macs": count_macs(student, shape),
            "ms_per_image": round(milliseconds_per_image(student, shape), 2),
            "dice": round(scores["dice"]["mean"], 4),
            "cldice": round(scores["cldice"]["mean"], 4),
        }
        return values, {"network": student, "dataset": workflow.parser.get_parsed_content("validate#dataset")}

    def _draw(self, pictures: Mapping[str, Mapping[str, Any]]) -> None:
        """Three test cases, from the best to the worst of the student alone, as every arm sees them."""
        from kdseg.metrics.overlay import OverlayRow, overlay_picture

        table = self.out / "student_alone" / "evaluation_test" / "cases.csv"
        with table.open(encoding="utf-8", newline="") as stream:
            ranked = sorted(csv.DictReader(stream), key=lambda row: -float(row["dice"]))
        wanted = [ranked[round(place * (len(ranked) - 1))]["case"] for place in (0.0, 0.5, 1.0)]
        cases = {str(item["case"]): item for item in pictures["student_alone"]["dataset"]}
        titles = dict(zip(LAYERS, ("teacher", "alone", f"distilled ({self.method})"), strict=True))
        rows = []
        for case in wanted:
            item = cases[case]
            masks = {titles[arm]: _mask(entry["network"], item["image"]) for arm, entry in pictures.items()}
            # MONAI's first spatial axis is the picture's width
            rows.append(OverlayRow(case, np.asarray(item["image"])[0].T, np.asarray(item["label"])[0].T, masks))
        overlay_picture(rows, self.out / "overlay.png")


def _mask(network: nn.Module, image: Any) -> np.ndarray:
    from kdseg.engines import WholeImageInferer

    device = next(network.parameters()).device
    with torch.inference_mode():
        logits = WholeImageInferer()(torch.as_tensor(np.asarray(image))[None].to(device), network.eval())
    return (logits[0, 0] > 0).cpu().numpy().T


def _first_cine(folder: Path) -> Path:
    """The first file with several frames."""
    import pydicom

    for path in sorted(folder.glob("*.dcm")):
        if int(pydicom.dcmread(path, stop_before_pixels=True).get("NumberOfFrames", 1)) > 1:
            return path
    return sorted(folder.glob("*.dcm"))[0]


def _table(arms: Mapping[str, Mapping[str, Any]], method: str) -> str:
    names = dict(zip(LAYERS, ("teacher", "student alone", f"student, {method}"), strict=True))
    rows: list[Sequence[object]] = [
        [
            names[arm],
            f"{values['params']:,}",
            f"{values['macs'] / 1e9:.2f}",
            f"{values['ms_per_image']:.1f}",
            f"{values['dice']:.3f}",
            f"{values['cldice']:.3f}",
        ]
        for arm, values in arms.items()
    ]
    return text_table(rows, ["network", "parameters", "GMAC", "ms per image", "Dice", "clDice"])
