"""The best, the middle and the worst cases as every network saw them."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdseg.handlers.case_pictures import picture_file
from kdseg.pictures.overlay import COLOURS
from kdseg.report.words import metric_name, number, signed
from kdseg.statistics.comparison import Comparison, is_lower_better

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
class _Drawn:
    """A case in the first run that has its pictures: where they are, and the scores of that run, by arm."""

    case: str
    run: tuple[str, str]
    paths: Mapping[str, Path]
    scores: Mapping[str, float]

    def gain(self, arm: str) -> float:
        return self.scores[arm] - self.scores["alone"]


def case_panels(comparison: Comparison, student: str, arm: str) -> list[CasePanels]:
    """The best, median and worst cases of an arm, and those that gained and lost most; each case once.

    What is best and what gained is judged by the run that is shown.

    Args:
        comparison: a folder; cases without pictures are passed over.
        student: whose.
        arm: the distilled arm that is shown beside truth, teacher and student alone.
    """
    metric = comparison.key_metric
    sign = -1.0 if is_lower_better(metric) else 1.0
    drawn = list(_drawn(comparison, student, arm))
    if not drawn:
        return []
    ranked = sorted(drawn, key=lambda one: -sign * one.scores[arm])
    by_gain = sorted(drawn, key=lambda one: -sign * one.gain(arm))
    reasons = [
        (f"Best {metric_name(metric)}", ranked[0]),
        (f"Median {metric_name(metric)}", ranked[(len(ranked) - 1) // 2]),
        (f"Worst {metric_name(metric)}", ranked[-1]),
    ]
    # what is printed as no change is none
    words = [signed(sign * one.gain(arm), metric) for one in (by_gain[0], by_gain[-1])]
    reasons += [("Largest gain", by_gain[0])] if words[0].startswith("+") else []
    reasons += [("Largest loss", by_gain[-1])] if words[1].startswith("−") else []
    by_case: dict[str, list[str]] = {}
    for why, one in reasons:
        by_case.setdefault(one.case, []).append(why)
    return [_panels(one, arm, metric, " · ".join(by_case.pop(one.case))) for _, one in reasons if one.case in by_case]


def _drawn(comparison: Comparison, student: str, arm: str) -> Iterator[_Drawn]:
    """Each case that the arm and the student alone drew in the same run, with the teacher if it did too."""
    frame = comparison.cases[comparison.cases["student"].isin(["", student])]
    # a fold has one teacher
    seeds = frame["seed"].mask(frame["arm"] == "teacher", "")
    keys = zip(frame["arm"], frame["fold"], seeds, frame["case"], strict=True)
    scores = dict(zip(keys, frame[comparison.key_metric], strict=True))
    folders = {
        (name, str(cell["fold"]), "" if name == "teacher" else str(cell["seed"])): comparison.out / str(cell["folder"])
        for name in ("teacher", "alone", arm)
        for cell in comparison.cells_of(name, student)
    }
    waiting = dict.fromkeys(frame["case"])
    for fold, seed in [run for name, *run in folders if name == arm]:
        for case in list(waiting):
            paths, found = {}, {}
            for key in (("teacher", fold, ""), ("alone", fold, seed), (arm, fold, seed)):
                path = folders.get(key, Path()) / "evaluation_test" / "pictures" / picture_file(case)
                if path.is_file() and math.isfinite(scores.get((*key, case), math.nan)):
                    paths[key[0]], found[key[0]] = path, scores[(*key, case)]
            if {"alone", arm} <= found.keys():
                del waiting[case]
                yield _Drawn(case, (fold, seed), paths, found)


def _panels(drawn: _Drawn, arm: str, metric: str, why: str) -> CasePanels:
    pictures = {name: _load(path) for name, path in drawn.paths.items()}
    image, truth, place = (pictures["alone"][name] for name in ("image", "truth", "slice"))
    case = drawn.case
    panels = [
        Panel("input", None, case, f"{case}: the image alone"),
        Panel("truth", _overlay(truth, truth), "marked by hand", f"{case}: the true areas"),
    ]
    for name, arrays in pictures.items():
        caption = f"{metric_name(metric)} {number(drawn.scores[name], metric)}"
        caption += " of the whole volume" if len(place) else ""
        title = {"alone": "student alone"}.get(name, name)
        panels.append(Panel(title, _overlay(truth, arrays["prediction"]), caption, f"{case}, {title}: {caption}"))
    fold, seed = drawn.run
    run = f"seed {seed}" if fold == "all" else f"fold {fold}, seed {seed}"
    shown = f"slice {place[0]} of {place[1]}; " if len(place) else ""
    gain = signed((-1.0 if is_lower_better(metric) else 1.0) * drawn.gain(arm), metric)
    height, width = image.shape
    return CasePanels(why, case, f"{shown}{run}: gain {gain}", _jpeg(image), width, height, panels)


def _load(path: Path) -> dict[str, NDArray[np.uint8]]:
    with np.load(path, allow_pickle=False) as content:
        return dict(content)


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
