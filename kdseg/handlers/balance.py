"""Handlers that keep the terms of a method in balance: schedules, chosen shares, and a warning about one too large."""

from __future__ import annotations

import logging
from typing import Any

import torch
from ignite.engine import Events
from monai.engines import Workflow
from monai.engines.utils import IterationEvents

from kdseg.distill import Distiller
from kdseg.engines import TERMS, loss_terms
from kdseg.errors import UserError

__all__ = ["DominanceWatch", "TermWeights"]

logger = logging.getLogger(__name__)


class TermWeights:
    """Sets the weight of every term before each step: its weight in the method × its schedule's factor.

    A term with a ``share`` has its weight found rather than given: for the first ``share_steps`` steps it is only
    measured, at weight 0, beside the supervised loss; then the weight is fixed so that the term starts at that share of
    the supervised loss (means of the absolute values). Weights that change are logged with the terms, as
    ``<term>_weight``; what was measured is part of the state, so that a resumed training goes on with it.

    Args:
        distiller: the plain distiller, also when the trainer's network wraps it.
        share_steps: steps of measuring, for terms with a share.

    Raises:
        UserError: for a number of steps below 1.
    """

    def __init__(self, distiller: Distiller, share_steps: int = 50) -> None:
        if share_steps < 1:
            raise UserError("share_steps", found=str(share_steps), expected="1 or more", fix="use 50")
        self.distiller = distiller
        self.share_steps = share_steps
        terms = distiller.method.terms
        self.moving = {name: term for name, term in terms.items() if term.schedule.kind != "constant" or term.share}
        self.measured = {name: 0.0 for name, term in terms.items() if term.share}
        self.supervised = 0.0
        self.steps = 0
        self.found: dict[str, float] = {}

    def attach(self, trainer: Workflow) -> None:
        if not self.moving:
            return
        trainer.add_event_handler(Events.ITERATION_STARTED, self.set_weights)
        trainer.add_event_handler(IterationEvents.LOSS_COMPLETED, self.measure)

    def set_weights(self, trainer: Workflow) -> None:
        total = (trainer.state.max_epochs or 1) * (trainer.state.epoch_length or 1)
        step = trainer.state.iteration - 1
        for name, term in self.moving.items():
            weight = self.found.get(name, 0.0) if term.share else term.weight
            self.distiller.weights[name] = weight * term.schedule.factor(step, total)

    def measure(self, trainer: Workflow) -> None:
        output = trainer.state.output
        if self.steps < self.share_steps and self.measured:
            values = loss_terms(output)
            self.steps += 1
            self.supervised += abs(values["supervised"])
            for name in self.measured:
                self.measured[name] += abs(values[name])
            if self.steps == self.share_steps:
                self._fix(trainer)
        for name in self.moving:
            output[TERMS][f"{name}_weight"] = self.distiller.weights[name]

    def _fix(self, trainer: Workflow) -> None:
        """Sums over the processes: all of them must go on with the same weights."""
        sums = torch.tensor([self.supervised, *self.measured.values()], dtype=torch.float64)
        if torch.distributed.is_initialized():
            sums = sums.to(trainer.state.device)
            torch.distributed.all_reduce(sums)
        supervised, *values = sums.tolist()
        for name, value in zip(self.measured, values, strict=True):
            term = self.distiller.method.terms[name]
            assert term.share is not None
            told = f"{term.share:g} of the supervised loss, measured over {self.share_steps} steps"
            if value > 0:
                self.found[name] = term.share * supervised / value
                logger.info(f"term {name}: weight {self.found[name]:.4g}, which is {told}")
            else:
                self.found[name] = term.weight
                why = f"it was 0 in all {self.share_steps} steps, so no weight makes it {told}"
                logger.warning(f"term {name}: {why}; it goes on with its weight in the method, {term.weight:g}")

    def state_dict(self) -> dict[str, Any]:
        return {
            "steps": self.steps,
            "supervised": self.supervised,
            "measured": dict(self.measured),
            "found": dict(self.found),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps, self.supervised = state["steps"], state["supervised"]
        self.measured, self.found = dict(state["measured"]), dict(state["found"])


class DominanceWatch:
    """Warns, once a term, of a term that rules the training: weighted, it is far above the supervised loss for long.

    Args:
        distiller: the plain distiller, also when the trainer's network wraps it.
        limit: how many times the supervised loss is too much.
        window: for how many steps without a break.
    """

    def __init__(self, distiller: Distiller, limit: float = 10.0, window: int = 100) -> None:
        self.distiller = distiller
        self.limit = limit
        self.window = window
        self.above: dict[str, int] = {}
        self.told: set[str] = set()

    def attach(self, trainer: Workflow) -> None:
        trainer.add_event_handler(IterationEvents.LOSS_COMPLETED, self)

    def __call__(self, trainer: Workflow) -> None:
        values = loss_terms(trainer.state.output)
        for name, weight in self.distiller.weights.items():
            size, supervised = weight * abs(values[name]), abs(values["supervised"])
            self.above[name] = self.above.get(name, 0) + 1 if size > self.limit * supervised else 0
            if self.above[name] >= self.window and name not in self.told:
                self.told.add(name)
                logger.warning(
                    f"term {name} dominates: with its weight {weight:g} it is {size:.3g}, more than {self.limit:g} "
                    f"times the supervised loss {supervised:.3g}, for {self.window} steps. Lower its weight, or give "
                    f'it a share of the supervised loss: method_args {{"{name}": {{"share": 0.5}}}}'
                )
