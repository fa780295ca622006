"""A progress bar with the time left, in a terminal only."""

from __future__ import annotations

import sys
from typing import Any

from ignite.engine import Events
from monai.engines import Workflow

from kdseg.engines import is_main_process, loss_terms

__all__ = ["Progress"]


class Progress:
    """One bar over the whole training: epochs done, time left, the loss and its terms by name, the validation score.

    Args:
        title: stands before the bar.
        evaluator: its key metric is shown.
    """

    def __init__(self, title: str = "training", evaluator: Workflow | None = None) -> None:
        self.title = title
        self.evaluator = evaluator
        self.bar: Any = None

    def attach(self, trainer: Workflow) -> None:
        if not sys.stderr.isatty() or not is_main_process():
            return
        trainer.add_event_handler(Events.STARTED, self._open)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._advance)
        trainer.add_event_handler(Events.COMPLETED, self._close)

    def _open(self, trainer: Workflow) -> None:
        from tqdm import tqdm

        steps = (trainer.state.max_epochs or 0) * (trainer.state.epoch_length or 0)
        self.bar = tqdm(total=steps, initial=trainer.state.iteration, desc=self.title, unit="step", leave=True)

    def _advance(self, trainer: Workflow) -> None:
        shown = {name: f"{value:.3g}" for name, value in loss_terms(trainer.state.output).items()}
        if self.evaluator is not None and self.evaluator.state.best_metric_epoch >= 0:
            shown["best"] = f"{float(self.evaluator.state.best_metric):.4f}"
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update(trainer.state.iteration - self.bar.n)

    def _close(self, trainer: Workflow) -> None:
        self.bar.close()
