"""The best, the middle and the worst cases as every network saw them."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kdseg.handlers.case_pictures import picture_file
from kdseg.pictures.overlay import COLOURS
from kdseg.report.words import metric_name, number, signed
from kdseg.statistics.comparison import Comparison, is_lower_better
from kdseg.statistics.results import case_values

__all__ = ["COLOURS", "CasePanels", "Panel", "case_panels"]

IGNORED = 255
OPACITY = 200
OTHER_CLASS = (204, 121, 167)


@dataclass(frozen=True)
class Panel:
    """One picture: what it is, the areas to lay over the image as a data URI, and what is to be said of it."""

    title: str
    overlay: str | None
    caption: str
    alternative: str


@dataclass(frozen=True)
class CasePanels:
    """A case: why it is shown, which run drew it, the image as a data URI, and its panels."""

    why: str
    case: str
    run: str
    image: str
    width: int
    height: int
    panels: list[Panel]


@dataclass(frozen=True)
class _Run:
    fold: str
    seed: str
    paths: dict[str, Path]


def case_panels(comparison: Comparison, student: str, arm: str) -> list[CasePanels]:
    """The best, median and worst cases of an arm, and those that gained most and least; each case once.

    Args:
        comparison: a folder; cases without pictures are passed over.
        student: whose.
        arm: the distilled arm that is shown beside truth, teacher and student alone.
    """
    values = case_values(comparison, student, comparison.key_metric)
    if arm not in values or "alone" not in values:
        return []
    sign = -1.0 if is_lower_better(comparison.key_metric) else 1.0
    drawn = {case: run for case in values.index if (run := _first_run(comparison, student, arm, case)) is not None}
    shown = list(drawn)
    scores = (sign * values.loc[shown, arm]).dropna().sort_values(ascending=False)
    gains = (sign * (values.loc[shown, arm] - values.loc[shown, "alone"])).dropna().sort_values(ascending=False)
    if scores.empty or gains.empty:
        return []
    name = metric_name(comparison.key_metric)
    reasons = [
        (f"Best {name}", scores.index[0]),
        (f"Median {name}", scores.index[(len(scores) - 1) // 2]),
        (f"Worst {name}", scores.index[-1]),
        ("Largest gain", gains.index[0]),
        ("Largest loss" if gains.iloc[-1] < 0 else "Smallest gain", gains.index[-1]),
    ]
    by_case: dict[str, list[str]] = {}
    for why, case in reasons:
        by_case.setdefault(str(case), []).append(why)
    return [
        _panels(comparison, student, drawn[case], case, " · ".join(why), signed(gains[case], comparison.key_metric))
        for case, why in by_case.items()
    ]


def _first_run(comparison: Comparison, student: str, arm: str, case: str) -> _Run | None:
    """The first fold and seed in which the arm and the student alone drew the case, and the teacher if it did too."""
    found = {name: _pictures(comparison, student, name, case) for name in ("teacher", "alone", arm)}
    for key in found[arm]:
        if key in found["alone"]:
            teacher = {fold: path for (fold, _), path in found["teacher"].items()}.get(key[0])
            paths = {"alone": found["alone"][key], arm: found[arm][key]}
            return _Run(*key, paths if teacher is None else {"teacher": teacher, **paths})
    return None


def _pictures(comparison: Comparison, student: str, arm: str, case: str) -> dict[tuple[str, str], Path]:
    paths = {
        (str(cell["fold"]), str(cell["seed"])): comparison.out
        / str(cell["folder"])
        / "evaluation_test"
        / "pictures"
        / picture_file(case)
        for cell in comparison.cells_of(arm, student)
    }
    return {run: path for run, path in paths.items() if path.is_file()}


def _panels(comparison: Comparison, student: str, run: _Run, case: str, why: str, gain: str) -> CasePanels:
    arrays = {name: _load(path) for name, path in run.paths.items()}
    image, truth = arrays["alone"]["image"], arrays["alone"]["truth"]
    panels = [
        Panel("input", None, case, f"{case}: the image alone"),
        Panel("truth", _overlay(truth, truth), "marked by hand", f"{case}: the true areas"),
    ]
    for name, parts in arrays.items():
        value = _value(comparison, student, name, run, case)
        caption = f"{metric_name(comparison.key_metric)} {number(value, comparison.key_metric)}"
        title = {"alone": "student alone"}.get(name, name)
        panels.append(Panel(title, _overlay(truth, parts["prediction"]), caption, f"{case}, {title}: {caption}"))
    where = f"seed {run.seed}" if run.fold == "all" else f"fold {run.fold}, seed {run.seed}"
    height, width = image.shape
    return CasePanels(why, case, f"gain {gain} on average; pictures of {where}", _jpeg(image), width, height, panels)


def _value(comparison: Comparison, student: str, arm: str, run: _Run, case: str) -> float | None:
    frame: pd.DataFrame = comparison.cases
    chosen = (frame["arm"] == arm) & (frame["fold"] == run.fold) & (frame["case"] == case)
    if arm != "teacher":
        chosen &= (frame["student"] == student) & (frame["seed"] == run.seed)
    values = frame.loc[chosen, comparison.key_metric]
    return float(values.iloc[0]) if len(values) else None


def _load(path: Path) -> dict[str, NDArray[np.uint8]]:
    with np.load(path, allow_pickle=False) as content:
        return {name: content[name] for name in ("image", "truth", "prediction")}


def _overlay(truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> str:
    """A transparent picture of what was found, missed, made up, or taken for another class."""
    from PIL import Image

    known, real, marked = truth != IGNORED, (truth > 0) & (truth != IGNORED), prediction > 0
    areas = np.zeros(truth.shape, np.uint8)
    areas[real & (prediction == truth)] = 1
    areas[real & ~marked] = 2
    areas[known & ~real & marked] = 3
    areas[real & marked & (prediction != truth)] = 4
    picture = Image.fromarray(areas, mode="P")
    colours = [(0, 0, 0), *COLOURS.values(), OTHER_CLASS]
    picture.putpalette([part for colour in colours for part in colour])
    return _data_uri(picture, "png", transparency=bytes([0, *[OPACITY] * 4]), optimize=True)


def _jpeg(image: NDArray[np.uint8]) -> str:
    from PIL import Image

    return _data_uri(Image.fromarray(image), "jpeg", quality=88)


def _data_uri(picture: Any, kind: str, **settings: Any) -> str:
    stream = io.BytesIO()
    picture.save(stream, format=kind.upper(), **settings)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
