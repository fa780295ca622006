"""Adversarial terms: a discriminator tells the teacher's output from the student's, which learns to deceive it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from kdseg.errors import UserError, suggestion
from kdseg.losses.base import DistillationLoss, Head

__all__ = ["AdversarialLoss", "critic", "gradient_penalty"]

Objective = Literal["wgan-gp", "lsgan"]


def critic(discriminator: nn.Module, pair: Tensor) -> Tensor:
    """The discriminator's map of scores; MONAI's discriminators return their features too, the scores last."""
    scores = discriminator(pair)
    return scores[-1] if isinstance(scores, (list, tuple)) else scores


def gradient_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """``mean (‖∇D(x)‖ − 1)²`` at random points x between real and fake, one per image (arXiv 1704.00028, eq. 3).

    Args:
        discriminator: maps ``BCH[WD]`` to scores.
        real: ``BCH[WD]``, without gradient.
        fake: the same shape, without gradient.

    Example:
        >>> torch.set_grad_enabled(True) and None
        >>> penalty = gradient_penalty(torch.nn.Flatten(), torch.ones(2, 1, 1, 1), torch.zeros(2, 1, 1, 1))
        >>> float(penalty.detach())  # the gradient of the identity is 1
        0.0
    """
    share = torch.rand([len(real), *[1] * (real.ndim - 1)], device=real.device, dtype=real.dtype)
    between = (share * real + (1 - share) * fake).requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(discriminator, between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


class AdversarialLoss(DistillationLoss):
    """The student's side of the game in :meth:`forward`, the discriminator's in :meth:`discriminator_loss`.

    A subclass makes ``self.discriminator`` in ``build`` and says in :meth:`pair` what the discriminator looks at. The
    discriminator has an optimiser of its own: ``kdseg.handlers.DiscriminatorStep`` steps it after the student.

    Args:
        objective: "wgan-gp" (critic with gradient penalty) or "lsgan" (squared distance to 1 and 0).
        penalty: weight of the gradient penalty (wgan-gp).
        head: "softmax" or "sigmoid".
    """

    zero_when_equal = False
    extra_parts = ("discriminator",)
    discriminator: nn.Module

    def __init__(self, objective: Objective = "wgan-gp", penalty: float = 10.0, head: Head = "softmax") -> None:
        super().__init__(head)
        if objective not in ("wgan-gp", "lsgan"):
            fix = suggestion(str(objective), ["wgan-gp", "lsgan"])
            raise UserError("objective", found=repr(objective), expected="wgan-gp or lsgan", fix=fix)
        self.objective = objective
        self.penalty = penalty

    def pair(self, taps: Sequence[Tensor], label: Tensor | None) -> Tensor:
        """What the discriminator sees of one network, ``BCH[WD]``."""
        raise NotImplementedError

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        with _fixed(self.discriminator):
            scores = critic(self.discriminator, self.pair(student, label))
        return -scores.mean() if self.objective == "wgan-gp" else (scores - 1).square().mean()

    def discriminator_loss(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None
    ) -> Tensor:
        """What the discriminator minimises; ``student`` and ``teacher`` carry no gradient here."""
        with torch.no_grad():
            real, fake = self.pair(teacher, label), self.pair(student, label)
        score_real, score_fake = critic(self.discriminator, real), critic(self.discriminator, fake)
        if self.objective == "lsgan":
            return ((score_real - 1).square().mean() + score_fake.square().mean()) / 2
        penalty = gradient_penalty(self.discriminator, real, fake)
        return score_fake.mean() - score_real.mean() + self.penalty * penalty


@contextmanager
def _fixed(module: nn.Module) -> Iterator[None]:
    """The student's backward passes through the discriminator without computing gradients for its weights."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
