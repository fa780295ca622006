"""Pictures of an evaluation: the best, the middle and the worst cases with truth and prediction."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ignite.engine import Events
from monai.engines import Workflow
from numpy.typing import NDArray

from kdseg.engines import is_main_process
from kdseg.handlers.case_table import case_name
from kdseg.handlers.case_view import IGNORED, case_view, class_numbers
from kdseg.pictures.overlay import OverlayRow, overlay_picture

__all__ = ["CaseOverlays", "overlay_row"]

Mask = NDArray[np.bool_]


class CaseOverlays:
    """Ignite handler for a MONAI evaluator: writes ``overlays.png``, a row a case, from the best to the worst Dice.

    Reads ``image``, ``label`` and ``pred`` (hard masks) of the output. What is given to a wrong class counts as missed.
    Of a volume the axial slice with most foreground is shown, and the Dice of this slice; the order is by that of the
    volume.

    Args:
        output_dir: where the picture goes.
        count: how many cases, spread evenly over the ranks.
        name: title of the predictions' column.
    """

    def __init__(self, output_dir: str | Path, count: int = 6, name: str = "prediction") -> None:
        self.output_dir = Path(output_dir)
        self.count = count
        self.name = name
        self.rows: list[tuple[float, OverlayRow]] = []

    def attach(self, evaluator: Workflow) -> None:
        evaluator.add_event_handler(Events.EPOCH_STARTED, lambda: self.rows.clear())
        evaluator.add_event_handler(Events.ITERATION_COMPLETED, self._keep)
        evaluator.add_event_handler(Events.EPOCH_COMPLETED, self._write)

    def _keep(self, evaluator: Workflow) -> None:
        for record, item in zip(evaluator.state.batch, evaluator.state.output, strict=True):
            named = {**item, "case": case_name(record, item, number=len(self.rows))}
            self.rows.append((_dice(*_foregrounds(*class_numbers(item))), overlay_row(named, self.name)))

    def _write(self, evaluator: Workflow) -> None:
        if not self.rows or not is_main_process():
            return
        ranked = sorted(self.rows, key=lambda entry: -entry[0])
        chosen = np.unique(np.linspace(0, len(ranked) - 1, min(self.count, len(ranked))).round().astype(int))
        overlay_picture([ranked[index][1] for index in chosen], self.output_dir / "overlays.png")


def overlay_row(item: Mapping[str, Any], name: str) -> OverlayRow:
    """The row of a case: image, truth, and the prediction under ``name``.

    Args:
        item: "image", "label" and "pred" as of :func:`~kdseg.handlers.case_view.case_view`, and "case".
        name: title of the predictions' column.
    """
    view = case_view(item)
    place = f", slice {view.slice[0]} of {view.slice[1]}" if view.slice else ""
    truth, predicted = _foregrounds(view.truth, view.prediction)
    score = "Dice of this slice" if view.slice else "Dice"
    return OverlayRow(str(item["case"]) + place, view.image, truth, {name: predicted}, score)


def _foregrounds(truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> tuple[Mask, Mask]:
    """Where there is any class, in the truth and in the prediction, in which a wrong class is none."""
    right = (prediction == truth) | (truth == 0)
    return (truth > 0) & (truth != IGNORED), (prediction > 0) & right


def _dice(truth: Mask, predicted: Mask) -> float:
    return float(2 * (truth & predicted).sum() / max(truth.sum() + predicted.sum(), 1))
