"""The cells of a comparison: which network is trained how, on what, and where its files go."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kdseg._version import __version__
from kdseg.compare.request import ALONE, TEACHER, Arm, CompareRequest
from kdseg.configuration import compose_bundle
from kdseg.data.open import content_hash
from kdseg.distill import build_method, soft_label_folder
from kdseg.distill.teachers.cross_fit import CROSS_FIT_FILE, cross_fit_members
from kdseg.errors import UserError, suggestion
from kdseg.handlers import fingerprint
from kdseg.task import Task

__all__ = ["Cell", "groups", "plan"]

# settings of one arm that leave what it is trained on as it is, so that it can go in step with the others
OF_THE_ARM = (
    "method_args",
    "learning_rate",
    "weight_decay",
    "discriminator_learning_rate",
    "gradient_limit",
    "balance",
    "paraphraser_steps",
    "optimizer",
    "lr_scheduler",
    "loss",
    "student_taps",
)


@dataclass(frozen=True)
class Cell:
    """One training."""

    bundle: Path  # folder of the bundle
    fold: str  # name of the fold, "all" where there are none
    student: str  # name of the student; empty for the teacher
    arm: str  # name of the arm; "teacher" for the teacher
    seed: int  # of weights, batches and augmentation
    folder: Path  # where its files go
    layers: tuple[str, ...]  # configuration files
    settings: Mapping[str, Any]  # changes to them
    key: str  # fingerprint of all that makes its result
    stream: str  # cells of the same stream are trained on the same batches
    standing: str = ""  # of the method
    given: bool = False  # a teacher that was trained before: it is only measured

    @property
    def label(self) -> str:
        """For people."""
        parts = [f"fold {self.fold}" if self.fold != "all" else "", self.student, self.arm, f"seed {self.seed}"]
        return ", ".join(part for part in parts if part)

    @property
    def finished(self) -> bool:
        return (self.folder / "done.json").is_file()

    @property
    def model(self) -> Path:
        return self.folder / "model.pt"

    def notes(self, name: str) -> dict[str, Any]:
        """The content of ``cell.json``, ``done.json`` or ``failed.json``; empty where there is none."""
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def plan(
    request: CompareRequest,
    lists: Mapping[str, Path],
    steps: int | None,
    tuned: Mapping[tuple[str, str, str], Mapping[str, Any]] | None = None,
) -> list[Cell]:
    """All cells, teachers first in each fold.

    Args:
        request: what was asked for.
        lists: fold → data list.
        steps: length of each training; None: as the configuration says.
        tuned: settings that a search has found, by fold, student and arm; they win.

    Raises:
        UserError: for a setting that no configuration has.
    """
    common = request.settings_of(None)
    parser = compose_bundle(request.bundle, ["train"], _known(request, ["train"], common), own_logging=False).parser
    numbers = ("epochs", "steps_per_epoch", "val_interval", "batch_size", "learning_rate")
    defaults = {key: parser.get_parsed_content(key) for key in numbers}
    students = request.students or (str(parser.get_parsed_content("task").network["name"]),)
    layers_of = {arm.name: _layers(arm) for arm in request.arms} | {TEACHER: ["train", "train_teacher"]}
    _check_keys(request, layers_of)
    cells = []
    for fold, datalist in lists.items():
        base = {"datalist": str(datalist), "mlflow": False}
        if request.device is not None:
            base["device"] = f"$torch.device('{request.device}')"
        teacher = _teacher(request, fold, base, common, defaults, steps)
        cells.append(teacher)
        for student in students:
            for seed in range(request.seeds):
                for arm in request.arms:
                    own = request.settings_of(arm.name)
                    known = _known(request, layers_of[arm.name], common)
                    rate = {"learning_rate": defaults["learning_rate"]}
                    settings = {**base, "seed": seed, **rate, **known, **own, **_schedule(steps, defaults)}
                    if request.students:
                        settings["network"] = {"name": student}
                    if arm.method is not None:
                        settings["method"] = arm.method
                        settings["teacher"] = teacher.settings["teacher"] if teacher.given else str(teacher.folder)
                        if arm.method_args:
                            settings["method_args"] = {**arm.method_args, **settings.get("method_args", {})}
                    settings |= (tuned or {}).get((fold, student, arm.name), {})
                    if arm.unlabelled:
                        # as many labelled crops in a step as every other arm has, and as many without labels
                        settings["batch_size"] = 2 * settings.get("batch_size", defaults["batch_size"])
                    folder = request.out / "cells" / f"fold_{fold}" / student / arm.name / f"seed_{seed}"
                    cells.append(_cell(request, fold, student, arm, folder, layers_of[arm.name], settings, teacher.key))
    return cells


def groups(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Cells that are trained in step: the same fold, seed and batches. Teachers are by themselves."""
    found: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in cells:
        together = (cell.fold, cell.seed, cell.stream) if cell.arm != TEACHER else (cell.fold, TEACHER)
        found.setdefault(together, []).append(cell)
    return list(found.values())


def _teacher(
    request: CompareRequest,
    fold: str,
    base: Mapping[str, Any],
    common: Mapping[str, Any],
    defaults: Mapping[str, Any],
    steps: int | None,
) -> Cell:
    """The teacher of a fold: trained as long as the students unless it has its own epochs, or given."""
    own = request.settings_of(TEACHER)
    folder = request.out / "cells" / f"fold_{fold}" / TEACHER
    if request.teacher:
        layers = ["train", "distill"]
        names = [name.replace("{fold}", fold) for name in request.teacher]
        settings = {**base, "seed": 0, **_known(request, layers, common), "teacher": names}
        files = [file for name in names for file in _weights(Path(name))]
        key = fingerprint(given=[content_hash(file) for file in files])
        return replace(_cell(request, fold, "", Arm(TEACHER), folder, layers, settings, key), given=True)
    layers = ["train", "train_teacher"]
    known = _known(request, layers, common)
    known = {key: value for key, value in known.items() if _first(key) != "network"}
    length = _schedule(None if "epochs" in own else steps, {**defaults, **own})
    settings = {**base, "seed": 0, **known, **own, **length}
    return _cell(request, fold, "", Arm(TEACHER), folder, layers, settings)


def _weights(path: Path) -> list[Path]:
    """The file itself, or what is in a bundle's folder."""
    members = [folder / "model.pt" for folder, _ in cross_fit_members(path)] if path.is_dir() else []
    if members:
        # maps come later, and the temperatures are in the record
        return [path / CROSS_FIT_FILE, *members]
    return [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())


def _cell(
    request: CompareRequest,
    fold: str,
    student: str,
    arm: Arm,
    folder: Path,
    layers: list[str],
    settings: dict[str, Any],
    teacher_key: str = "",
) -> Cell:
    files = [request.bundle / "task.json", *(request.bundle / "configs" / f"{layer}.json" for layer in layers)]
    configs = [content_hash(file) for file in files]
    # what is named by a path counts by its content; devices differ in rounding only
    plain = {key: value for key, value in settings.items() if key not in ("datalist", "teacher", "device")}
    soft = plain["soft_labels"] = bool(plain.get("soft_labels") or _is_cross_fit(settings))
    stream = {key: value for key, value in request.settings_of(arm.name).items() if _first(key) not in OF_THE_ARM}
    return Cell(
        bundle=request.bundle,
        fold=fold,
        student=student,
        arm=arm.name,
        seed=int(settings["seed"]),
        folder=folder,
        layers=tuple(layers),
        settings={**settings, "output_dir": str(folder)},
        key=fingerprint(
            version=__version__,
            configs=configs,
            settings=plain,
            list=_cases(Path(settings["datalist"])),
            teacher=teacher_key,
            # default weights change from one state of the code to the next
            method="" if arm.method is None else repr(build_method(arm.method, settings.get("method_args"))),
        ),
        stream=fingerprint(settings=stream, unlabelled=arm.unlabelled, soft_labels=soft),
        standing="" if arm.method is None else build_method(arm.method).standing,
    )


def _is_cross_fit(settings: Mapping[str, Any]) -> bool:
    return bool("method" in settings and soft_label_folder(settings["teacher"]))


def _cases(datalist: Path) -> dict[str, Any]:
    """The list but for the place of its files, so that the folder can be moved."""
    content = json.loads(datalist.read_text(encoding="utf-8"))
    return {key: value for key, value in content.items() if key != "root"}


def _layers(arm: Arm) -> list[str]:
    if arm.name == ALONE:
        return ["train"]
    return ["train", "distill", *(["semi_supervised"] if arm.unlabelled else [])]


def _schedule(steps: int | None, settings: Mapping[str, Any]) -> dict[str, int]:
    """Epochs that hold the steps, or little more where they do not divide, and that end with a validation."""
    usual = settings["steps_per_epoch"]
    steps = settings["epochs"] * usual if steps is None else steps
    # epochs of the usual length, up to twice as long where that fits better
    counts = range(max(1, steps // usual), max(1, steps // (2 * usual)) - 1, -1)
    epochs = min(counts, key=lambda count: -steps % count)
    interval = next(i for i in range(min(settings["val_interval"], epochs), 0, -1) if epochs % i == 0)
    return {"epochs": epochs, "steps_per_epoch": -(-steps // epochs), "val_interval": interval}


def _known(request: CompareRequest, layers: Sequence[str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that these layers have: one for the distillation alone is not the student's alone."""
    keys = _keys(request, layers)
    # the comparison is recorded as a whole, not by its cells
    return {key: value for key, value in settings.items() if _first(key) in keys and key != "mlflow"}


def _check_keys(request: CompareRequest, layers_of: Mapping[str, Sequence[str]]) -> None:
    for arm in (None, *layers_of):
        layers = layers_of[arm] if arm is not None else {layer for each in layers_of.values() for layer in each}
        keys = _keys(request, layers)
        for key in request.settings_of(arm):
            if _first(key) not in keys:
                expected = f"one of {', '.join(sorted(keys))}"
                where = "--set" if arm is None else f"--set {arm}:"
                raise UserError(where, found=repr(key), expected=expected, fix=suggestion(_first(key), keys))


def _keys(request: CompareRequest, layers: Iterable[str]) -> set[str]:
    files = [request.bundle / "configs" / f"{layer}.json" for layer in layers]
    contents = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]
    of_task = {entry.name for entry in dataclasses.fields(Task)}
    return {_first(key).removeprefix("+") for content in contents for key in content} | of_task


def _first(key: str) -> str:
    return re.split("#|::", key)[0]
