"""The course of a training as a small table: every term and every validation metric, epoch by epoch."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from ignite.engine import Events
from monai.engines import Workflow
from monai.utils import is_scalar

from kdseg.engines import is_main_process
from kdseg.files import whole_file

__all__ = ["History", "validations"]

COLUMNS = ("epoch", "step", "name", "value")


class History:
    """Writes ``history.csv`` with a row for each number of each epoch: ``epoch, step, name, value``.

    Names: ``train/<term>`` (the epoch's mean, as :class:`~kdseg.handlers.EpochLog` leaves it; "loss" is the whole),
    ``train/learning_rate``, ``validation/<metric>`` in epochs with a validation, and ``seconds`` where the training is
    part of a fan-out. A resumed training goes on after the last epoch that it has kept. In the list of handlers it
    stands behind EpochLog and before TrainingCheckpoint.

    Args:
        path: the file.
        evaluator: the validating engine.
    """

    def __init__(self, path: str | Path, evaluator: Workflow | None = None) -> None:
        self.path = Path(path)
        self.evaluator = evaluator
        self.rows: list[dict[str, Any]] | None = None
        self._rate = 0.0

    def attach(self, trainer: Workflow) -> None:
        if is_main_process():
            trainer.add_event_handler(Events.EPOCH_STARTED, self._start)
            trainer.add_event_handler(Events.EPOCH_COMPLETED, self._write)

    def _start(self, trainer: Workflow) -> None:
        # before the schedulers move it at the end of the epoch
        self._rate = float(trainer.optimizer.param_groups[0]["lr"])  # type: ignore[attr-defined]
        if self.rows is None:
            # only now a resumed trainer knows its epoch
            kept = _read(self.path) if trainer.state.epoch > 1 else []
            self.rows = [row for row in kept if int(row["epoch"]) < trainer.state.epoch]

    def _write(self, trainer: Workflow) -> None:
        assert self.rows is not None
        state = trainer.state
        values = {f"train/{name}": value for name, value in getattr(state, "term_means", {}).items()}
        values["train/learning_rate"] = self._rate
        if self.evaluator is not None and self.evaluator.state.epoch == state.epoch:
            metrics = self.evaluator.state.metrics
            values |= {f"validation/{name}": float(value) for name, value in metrics.items() if is_scalar(value)}
        if hasattr(state, "epoch_seconds"):
            values["seconds"] = state.epoch_seconds
        place = {"epoch": state.epoch, "step": state.iteration}
        self.rows += [{**place, "name": name, "value": value} for name, value in values.items()]
        with whole_file(self.path) as path, path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)


def validations(path: Path, metric: str) -> list[float]:
    """The values of a validation metric in a ``history.csv``, in their order; none where there is no such file."""
    return [float(row["value"]) for row in _read(path) if row["name"] == f"validation/{metric}"]


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
