"""The weights of a method's terms: shares of the supervised gradient, schedules, and a warning about one too large."""

from __future__ import annotations

import logging
from typing import Any

from monai.engines.utils import IterationEvents

from kdseg.distill import Distiller
from kdseg.distill.gradients import gradient_norms
from kdseg.engines import TERMS, DistillationTrainer
from kdseg.errors import UserError

__all__ = ["TermWeights"]

logger = logging.getLogger(__name__)

KEPT = 0.5
"""The part of the measurements before in a new mean."""

TOO_MUCH = 10.0
"""A given weight that makes a term's gradient more than this many times the supervised one is told."""


class TermWeights:
    """Sets the weight of every term before each step.

    A term with a share has the weight ``share · ‖∇ supervised‖ / ‖∇ term‖``, gradients on the student's parameters; the
    others have the weight that the method gives them. Both are multiplied by the schedule's factor. The lengths of the
    gradients are geometric means over measurements, of which the latest count most: at the start of a training they
    fall by orders of magnitude. They are measured in the steps 0, 1, 2, 4, 8, … and every ``every`` steps, each time
    with one backward pass a part. A term whose gradient has always been zero has weight 0.

    Logged with the terms are ``<term>_weight``, and ``<term>_gradient``: the length of the weighted term's gradient as
    a share of the supervised one's. What was measured is part of the state: a resumed training goes on with it.

    Args:
        distiller: the plain distiller, also when the trainer's network wraps it.
        every: steps between two measurements.

    Raises:
        UserError: for a number of steps below 1.
    """

    def __init__(self, distiller: Distiller, every: int = 50) -> None:
        if every < 1:
            raise UserError("every", found=str(every), expected="1 or more", fix="use 50")
        self.distiller = distiller
        self.every = every
        self.lengths: dict[str, float] = {}
        """Part of the loss → mean length of its gradient, "supervised" among them."""
        self._told: set[str] = set()

    def attach(self, trainer: DistillationTrainer) -> None:
        trainer.add_event_handler(IterationEvents.FORWARD_COMPLETED, self)

    def __call__(self, trainer: DistillationTrainer) -> None:
        step, parts = trainer.state.iteration - 1, trainer.state.output[TERMS]
        if step % self.every == 0 or (step < self.every and step & (step - 1) == 0):
            self._measure(trainer, parts)
        total = (trainer.state.max_epochs or 1) * (trainer.state.epoch_length or 1)
        supervised = self.lengths.get("supervised", 0.0)
        for name, term in self.distiller.method.terms.items():
            length, weight = self.lengths.get(name, 0.0), term.weight
            if term.share is not None:
                weight = term.share * supervised / length if length > 0 else 0.0
            weight *= term.schedule.factor(step, total)
            self.distiller.weights[name] = parts[f"{name}_weight"] = weight
            parts[f"{name}_gradient"] = share = weight * length / supervised if supervised > 0 else 0.0
            if share > TOO_MUCH and step >= self.every and name not in self._told:
                self._told.add(name)
                logger.warning(
                    f"term {name} dominates: with its weight {weight:g} its gradient is {share:.3g} times that of the "
                    f'supervised loss. Lower it, or give a share instead: method_args {{"{name}": {{"share": 0.5}}}}'
                )

    def _measure(self, trainer: DistillationTrainer, parts: dict[str, Any]) -> None:
        scale = 1.0 if trainer.active_scaler is None else trainer.active_scaler.get_scale()
        student = [parameter for parameter in self.distiller.student.parameters() if parameter.requires_grad]
        measured = gradient_norms(parts, student, scale)
        # under amp a step may overflow; the next measurement comes
        for name, length in (measured or {}).items():
            if length > 0:
                self.lengths[name] = self.lengths.get(name, length) ** KEPT * length ** (1 - KEPT)

    def state_dict(self) -> dict[str, Any]:
        return {"lengths": dict(self.lengths)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.lengths = dict(state["lengths"])
