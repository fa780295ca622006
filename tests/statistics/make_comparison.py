"""Writes a comparison's folder with effects that are known, as ``kdseg compare`` would leave it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdseg.handlers.case_pictures import picture_file

LEAD = 0.06
METHODS = {"kd": 0.005, "lightvessel": 0.03}
COSTS = {"teacher": (31_000_000, 54_000_000_000, 210.0), "thin_unet": (58_557, 410_000_000, 6.2)}
OTHER_COSTS = (150_000, 900_000_000, 9.4)


def make_comparison(
    out: Path,
    *,
    methods: Mapping[str, float] = METHODS,
    students: Sequence[str] = ("thin_unet",),
    folds: Sequence[str] = ("all",),
    seeds: int = 6,
    cases: int = 12,
    sites: Sequence[str] = ("",),
    classes: Sequence[str] = ("vessel",),
    noise: float = 0.01,
    failed: Sequence[str] = (),
    measured: bool = True,
    epochs: int = 12,
    pictures: bool = False,
    names: Sequence[str] = (),
) -> Path:
    """The student alone reaches about 0.7 Dice, the teacher ``LEAD`` more, each method its own gain more.

    Args:
        methods: mean gain of each.
        noise: standard deviation of a gain from case to case.
        failed: methods whose first cell failed.
        measured: whether the test cases were measured; without it the folder is half-finished.
        names: of the cases; numbered where too few are given.
    """
    random = np.random.default_rng(0)
    names = [*names, *(f"case {number:02d}" for number in range(len(names), cases))]
    site_of = {name: sites[index % len(sites)] for index, name in enumerate(names)}
    level = {name: 0.7 + random.normal(0, 0.04) for name in names}
    cells: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for fold in folds:
        todo = [("", "teacher", "", LEAD)]
        for student in students:
            gains = {"alone": 0.0, **methods}
            todo += [(student, arm, str(seed), gain) for arm, gain in gains.items() for seed in range(seeds)]
        for student, arm, seed, gain in todo:
            cell = _cell(fold, student, arm, seed, failed=arm in failed and seed == "0")
            cells.append(cell)
            if cell["state"] == "failed":
                continue
            folder = out / cell["folder"]
            _write_history(folder, arm, gain, epochs)
            luck = np.random.default_rng([int(seed or 0), len(student)]).normal(0, 0.01)
            for name in names if measured else ():
                dice = {
                    label: level[name] + luck + gain + (random.normal(0, noise) if gain else 0.0) for label in classes
                }
                rows.append(
                    {
                        **{"fold": fold, "student": student, "arm": arm, "seed": seed},
                        **{"case": name, "site": site_of[name]},
                        **_metrics(dice),
                    }
                )
                if pictures:
                    _write_picture(folder, name, number=names.index(name), dice=float(np.mean(list(dice.values()))))
    out.mkdir(parents=True, exist_ok=True)
    settings = _settings(methods, students, folds, seeds, classes, measured)
    (out / "comparison.json").write_text(json.dumps(settings))
    (out / "cells.json").write_text(json.dumps(cells))
    if measured:
        with (out / "cases.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    return out


def _cell(fold: str, student: str, arm: str, seed: str, failed: bool) -> dict[str, Any]:
    folder = f"cells/fold_{fold}/teacher" if arm == "teacher" else f"cells/fold_{fold}/{student}/{arm}/seed_{seed}"
    params, macs, milliseconds = COSTS.get("teacher" if arm == "teacher" else student, OTHER_COSTS)
    return {
        **{"fold": fold, "student": student, "arm": arm, "seed": seed},
        "folder": folder.replace("<", "_").replace("\\", "_"),
        "state": "failed" if failed else "finished",
        "reason": "the loss was not finite in step 812" if failed else None,
        "seconds": 60.0 if arm == "alone" else 95.0,
        "steps": 1500,
        **{"params": params, "macs": macs, "ms_per_image": milliseconds},
        "best_epoch": 10,
        "validation": 0.7 + 0.005 * int(seed or 0),
        "last_quarter_gain": None if arm == "teacher" else 0.02 if arm == "lightvessel" else 0.001,
        "standing": {"kd": "code", "lightvessel": "reconstruction"}.get(arm),
    }


def _settings(
    methods: Mapping[str, float],
    students: Sequence[str],
    folds: Sequence[str],
    seeds: int,
    classes: Sequence[str],
    measured: bool,
) -> dict[str, Any]:
    return {
        "format": 1,
        "bundle": "coronary_angiogram",
        "datalist": {"name": "list.json", "hash": "a3f0c9", "counts": {"training": 24, "validation": 8, "test": 12}},
        "methods": list(methods),
        "students": list(students),
        "seeds": list(range(seeds)),
        "folds": list(folds),
        "budget": {"steps": 1500},
        "metrics": ["dice", "cldice", "hd95"],
        "key_metric": "dice",
        "classes": list(classes),
        "versions": {"kdseg": "0.1.0", "torch": "2.13.0", "monai": "1.6.1"},
        "machine": {"cpu": "a processor", "cores": 2, "device": "cpu"},
        "command": "kdseg compare bundles/coronary_angiogram --datalist list.json --methods kd,lightvessel --out run",
        "test_split_read": ["2026-03-04T05:06:07Z"] if measured else [],
    }


def _metrics(dice: Mapping[str, float]) -> dict[str, float]:
    mean = float(np.mean(list(dice.values())))
    by_class = {f"dice_{label}": value for label, value in dice.items()} if len(dice) > 1 else {}
    return {"dice": mean, **by_class, "cldice": mean + 0.03, "hd95_px": 100.0 * (1.0 - mean), "hd95_mm": float("nan")}


def _write_history(folder: Path, arm: str, gain: float, epochs: int) -> None:
    folder.mkdir(parents=True)
    terms = {"supervised": 1.0} | ({"logits": 0.2} if arm not in ("alone", "teacher") else {})
    with (folder / "history.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "step", "name", "value"])
        for epoch in range(1, epochs + 1):
            writer.writerow([epoch, epoch * 100, "train/learning_rate", 0.01])
            for term, size in terms.items():
                writer.writerow([epoch, epoch * 100, f"train/{term}", size * np.exp(-epoch / 5)])
            if epoch % 2 == 0:
                writer.writerow([epoch, epoch * 100, "validation/dice", (0.7 + gain) * (1 - np.exp(-epoch / 3))])


def _write_picture(folder: Path, name: str, number: int, dice: float) -> None:
    """A vessel tree of a kind; the lower the Dice, the more of it is missed and made up."""
    height, width = np.mgrid[:160, :160].astype(float)
    truth = np.zeros((160, 160), np.uint8)
    for branch in range(3):
        middle = 40 + 35 * branch + 18 * np.sin(height / 22 + number + branch) + 0.2 * height
        truth[np.abs(width - middle) < 3.5 - branch] = 1
    random = np.random.default_rng(number)
    image = 150 + 40 * np.sin(width / 60 + number) - 70.0 * truth + random.normal(0, 8, truth.shape)
    prediction = truth.copy()
    blocks = random.random((20, 20)).repeat(8, 0).repeat(8, 1)
    prediction[blocks > dice] = 0
    prediction[(blocks > dice + 0.1) & (np.abs(width - height) < 3)] = 1
    folder = folder / "evaluation_test" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / picture_file(name),
        image=image.clip(0, 255).astype(np.uint8),
        truth=truth,
        prediction=prediction,
        slice=[],
    )
