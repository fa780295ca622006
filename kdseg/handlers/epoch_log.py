"""One line an epoch: the loss and its terms, the validation, the time and how much of it was waiting for data."""

from __future__ import annotations

import logging
import time

from ignite.engine import Events
from monai.engines import Workflow

from kdseg.engines import loss_terms

__all__ = ["EpochLog"]

logger = logging.getLogger(__name__)


class EpochLog:
    """Logs the epoch's mean of every named part of the loss, the key metric and the share of time spent on data.

    The means stay in ``trainer.state.term_means`` (name → number) and the share in ``trainer.state.data_share`` for
    other
    handlers. In the list of handlers it stands after the validation.

    Args:
        evaluator: its key metric is told when it was measured in this epoch.
        every: epochs between two lines.
    """

    def __init__(self, evaluator: Workflow | None = None, every: int = 1) -> None:
        self.evaluator = evaluator
        self.every = every
        self.sums: dict[str, float] = {}
        self.steps = 0
        self.started = self.asked = self.waited = self.training_time = 0.0

    def attach(self, trainer: Workflow) -> None:
        trainer.add_event_handler(Events.EPOCH_STARTED, self._start)
        trainer.add_event_handler(Events.GET_BATCH_STARTED, self._ask)
        trainer.add_event_handler(Events.GET_BATCH_COMPLETED, self._get)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._add)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._tell)

    def _start(self, trainer: Workflow) -> None:
        self.sums, self.steps, self.waited, self.started = {}, 0, 0.0, time.perf_counter()

    def _ask(self, trainer: Workflow) -> None:
        self.asked = time.perf_counter()

    def _get(self, trainer: Workflow) -> None:
        self.waited += time.perf_counter() - self.asked

    def _add(self, trainer: Workflow) -> None:
        self.steps += 1
        for name, value in loss_terms(trainer.state.output).items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        if self.steps == trainer.state.epoch_length:
            self.training_time = time.perf_counter() - self.started

    def _tell(self, trainer: Workflow) -> None:
        trainer.state.term_means = {name: total / max(self.steps, 1) for name, total in self.sums.items()}
        trainer.state.data_share = self.waited / max(self.training_time, 1e-9)
        epoch = trainer.state.epoch
        if epoch % self.every and epoch != trainer.state.max_epochs:
            return
        parts = [f"{name} {value:.4g}" for name, value in trainer.state.term_means.items()]
        line = f"epoch {epoch}/{trainer.state.max_epochs}  " + "  ".join(parts)
        if self.evaluator is not None and self.evaluator.state.epoch == epoch:
            state = self.evaluator.state
            line += f"  |  {state.key_metric_name} {float(state.metrics[state.key_metric_name]):.4f}"
            line += f" (best {float(state.best_metric):.4f} in epoch {state.best_metric_epoch})"
        logger.info(f"{line}  |  {self.training_time:.1f} s, {trainer.state.data_share:.0%} waiting for data")
