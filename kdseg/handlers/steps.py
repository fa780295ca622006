"""Handlers inside the training step: the discriminators' own step, gradient clipping, the watch over the terms."""

from __future__ import annotations

import logging
import math

import torch
from monai.engines import SupervisedTrainer, Workflow
from monai.engines.utils import IterationEvents

from kdseg.distill import Distiller
from kdseg.engines import average, loss_terms
from kdseg.errors import UserError

__all__ = ["DiscriminatorStep", "GradientClipping", "TermWatch"]

logger = logging.getLogger(__name__)


class DiscriminatorStep:
    """After the student's step, one step of every discriminator on the same batch. Does nothing where there is none.

    Args:
        distiller: the plain distiller, also when the trainer's network wraps it.
        optimizer: of ``distiller.discriminator_parameters()``; Adam with betas (0.9, 0.99) and 3e-5 in Graph Flow's
            code.
    """

    def __init__(self, distiller: Distiller, optimizer: torch.optim.Optimizer) -> None:
        self.distiller = distiller
        self.optimizer = optimizer

    def attach(self, trainer: Workflow) -> None:
        if self.distiller.discriminator_parameters():
            trainer.add_event_handler(IterationEvents.MODEL_COMPLETED, self)

    def __call__(self, trainer: Workflow) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        for name, term in self.distiller.adversaries():
            term.discriminator.requires_grad_(True)
            # taken out: the batch's features must not outlive the step
            loss = term.discriminator_loss(*self.distiller.pending.pop(name))
            loss.backward()
            term.discriminator.requires_grad_(False)
            trainer.state.output["terms"][f"{name}_discriminator"] = loss.detach()
        # the discriminators are outside of the DDP wrapper's forward
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        average(p.grad for p in parameters if p.grad is not None)
        self.optimizer.step()


class GradientClipping:
    """Scales the gradient down to the norm ``limit`` before the optimiser's step; works under AMP too.

    Args:
        limit: the largest L2 norm over all of the optimiser's parameters; 0 switches clipping off.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def attach(self, trainer: SupervisedTrainer) -> None:
        if self.limit > 0:
            trainer.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self)

    def __call__(self, trainer: SupervisedTrainer) -> None:
        # of a distilling trainer that scales nothing on a CPU, also where there is CUDA beside it
        scaler = getattr(trainer, "active_scaler", trainer.scaler if trainer.amp else None)
        if scaler is not None and scaler.is_enabled():
            scaler.unscale_(trainer.optimizer)
        parameters = [p for group in trainer.optimizer.param_groups for p in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, self.limit)


class TermWatch:
    """Stops a training whose loss is no longer a number, and names the term that did it.

    Raises:
        UserError: at the first step with a term that is NaN or infinite.
    """

    def attach(self, trainer: Workflow) -> None:
        trainer.add_event_handler(IterationEvents.LOSS_COMPLETED, self)

    def __call__(self, trainer: Workflow) -> None:
        values = loss_terms(trainer.state.output)
        broken = [name for name, value in values.items() if not math.isfinite(value)]
        if not broken:
            return
        found = f"no finite number in {', '.join(broken)}"
        fix = "lower the learning rate or that term's weight, switch amp off, or check the input for NaN"
        raise UserError(f"loss at step {trainer.state.iteration}", found=found, expected="finite terms", fix=fix)
