"""The course of a training as a table, also after a stop."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from ignite.engine import Events

from kdseg.handlers import EpochLog, History, TrainingCheckpoint
from tests.tiny import distiller, trainer


def training(folder: Path, stop_after: int | None = None) -> Any:
    distilled = distiller("kd")
    handlers = [EpochLog(), History(folder / "history.csv")]
    engine = trainer(distilled, epochs=3, handlers=handlers)
    if stop_after is not None:
        # killed after the table of this epoch is written, before its checkpoint
        @engine.on(Events.EPOCH_COMPLETED(once=stop_after))
        def kill() -> None:
            raise KeyboardInterrupt

    parts = {"student": distilled.student, "optimizer": engine.optimizer}
    TrainingCheckpoint(folder / "training.pt", parts).attach(engine)
    return engine


def rows(folder: Path) -> list[tuple[int, int, str]]:
    with (folder / "history.csv").open(newline="") as file:
        return [(int(row["epoch"]), int(row["step"]), row["name"]) for row in csv.DictReader(file)]


def test_every_term_of_every_epoch_once_also_after_a_stop(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        training(tmp_path, stop_after=2).run()
    assert {epoch for epoch, _, _ in rows(tmp_path)} == {1, 2}
    training(tmp_path).run()
    names = ("train/loss", "train/supervised", "train/logits", "train/overlap", "train/learning_rate")
    assert rows(tmp_path) == [(epoch, 2 * epoch, name) for epoch in (1, 2, 3) for name in names]


def test_a_new_training_starts_a_new_table(tmp_path: Path) -> None:
    training(tmp_path).run()
    (tmp_path / "training.pt").unlink()
    training(tmp_path).run()
    assert len(rows(tmp_path)) == 15
