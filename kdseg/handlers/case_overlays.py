"""Pictures of an evaluation: the best, the middle and the worst cases with truth and prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ignite.engine import Events
from monai.engines import Workflow

from kdseg.handlers.case_table import case_name
from kdseg.handlers.checkpoints import is_main_process
from kdseg.metrics.overlay import OverlayRow, overlay_picture

__all__ = ["CaseOverlays"]


class CaseOverlays:
    """Ignite handler for a MONAI evaluator: writes ``overlays.png``, a row a case, from the best to the worst Dice.

    Reads ``image``, ``label`` and ``pred`` (hard masks, first foreground class) of the output. Of a volume the slice
    with
    the most foreground is shown.

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
            truth, predicted = _foreground(item["label"]), _foreground(item["pred"])
            image = np.asarray(torch.as_tensor(item["image"]).detach().cpu())[0]
            if truth.ndim == 3:
                shown = int(truth.sum((0, 1)).argmax())
                truth, predicted, image = truth[..., shown], predicted[..., shown], image[..., shown]
            overlap = 2 * (truth & predicted).sum() / max(truth.sum() + predicted.sum(), 1)
            case = case_name(record, item, number=len(self.rows))
            # MONAI's first spatial axis is the picture's width
            row = OverlayRow(case, image.T, truth.T, {self.name: predicted.T})
            self.rows.append((float(overlap), row))

    def _write(self, evaluator: Workflow) -> None:
        if not self.rows or not is_main_process():
            return
        ranked = sorted(self.rows, key=lambda entry: -entry[0])
        chosen = np.unique(np.linspace(0, len(ranked) - 1, min(self.count, len(ranked))).round().astype(int))
        overlay_picture([ranked[index][1] for index in chosen], self.output_dir / "overlays.png")


def _foreground(mask: Any) -> np.ndarray:
    """The first foreground class as booleans, ``WH`` or ``WHD``: of one channel what is 1, of several the second."""
    array = np.asarray(torch.as_tensor(mask).detach().cpu())
    return array[0] == 1 if len(array) == 1 else array[1] > 0
