"""Adversarial terms: a discriminator tells the teacher's output from the student's, which learns to deceive it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from monai.networks.nets import PatchDiscriminator
from torch import Tensor, nn

from kdseg.errors import UserError, suggestion
from kdseg.losses.base import DistillationLoss
from kdseg.losses.labels import Head, probabilities
from kdseg.losses.sizes import resize

__all__ = ["AdversarialLoss", "ImageAdversarialLoss", "PatchAdversarialLoss", "critic", "gradient_penalty"]

Objective = Literal["wgan-gp", "lsgan"]


def critic(discriminator: nn.Module, pair: Tensor) -> Tensor:
    """The discriminator's map of scores ``B1H[WD]``; MONAI's discriminators return features too, the scores last."""
    scores = discriminator(pair)
    return scores[-1] if isinstance(scores, (list, tuple)) else scores


def gradient_penalty(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """``mean (‖∇ D̄(x)‖ − 1)²`` at random points x between real and fake, one per image (arXiv 1704.00028, eq. 3).

    D̄ is the mean over an image's map of scores, as in the terms of both players. With the sum here, as in the published
    code of SKDS, whose criteria Graph Flow uses, the student's gradient is divided by the number of patches.

    Args:
        discriminator: maps ``BCH[WD]`` to scores ``B…``.
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
    scores = critic(discriminator, between).flatten(1).mean(1).sum()
    (gradient,) = torch.autograd.grad(scores, between, create_graph=True)
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
        """What the discriminator sees of one network, ``BCH[WD]``; perhaps of fewer images than the batch has."""
        raise NotImplementedError

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        pair = self.pair(student, label)
        if len(pair) == 0:
            return 0 * student[0].sum()
        with _fixed(self.discriminator):
            scores = critic(self.discriminator, pair)
        return -scores.mean() if self.objective == "wgan-gp" else (scores - 1).square().mean()

    def discriminator_loss(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None
    ) -> Tensor:
        """What the discriminator minimises; ``student`` and ``teacher`` carry no gradient here."""
        with torch.no_grad():
            real, fake = self.pair(teacher, label), self.pair(student, label)
        if len(real) == 0:
            return torch.stack([0 * parameter.sum() for parameter in self.discriminator.parameters()]).sum()
        score_real, score_fake = critic(self.discriminator, real), critic(self.discriminator, fake)
        if self.objective == "lsgan":
            return ((score_real - 1).square().mean() + score_fake.square().mean()) / 2
        penalty = gradient_penalty(self.discriminator, real, fake)
        return score_fake.mean() - score_real.mean() + self.penalty * penalty


class PatchAdversarialLoss(AdversarialLoss):
    """A term whose discriminator is MONAI's PatchDiscriminator, with fewer layers on small maps.

    It normalises nothing. Batch statistics would couple the images that the gradient penalty takes one by one, and an
    instance's are near zero where a mask is constant: divided by them, the first penalties are hundreds instead of one.

    Args:
        objective: "wgan-gp" or "lsgan".
        penalty: weight of the gradient penalty.
        channels: width of its first layer; at 32 it costs more than three times a thin student on a CPU.
        layers: its number of strided layers after the first.
        head: "softmax" or "sigmoid".
    """

    def __init__(
        self,
        objective: Objective = "wgan-gp",
        penalty: float = 10.0,
        channels: int = 8,
        layers: int = 3,
        head: Head = "softmax",
    ) -> None:
        super().__init__(objective, penalty, head)
        self.channels = channels
        self.layers = layers

    def seen_channels(self, taps: Sequence[Tensor]) -> int:
        """Channels of what :meth:`pair` gives for such taps."""
        raise NotImplementedError

    def build(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
        # each strided layer halves the map, two 4-wide layers without stride follow
        deepest = max(1, int(min(student[0].shape[2:])).bit_length() - 4)
        self.discriminator = PatchDiscriminator(
            spatial_dims=student[0].ndim - 2,
            channels=self.channels,
            in_channels=self.seen_channels(student),
            num_layers_d=min(self.layers, deepest),
            norm=None,  # type: ignore[arg-type]  # its blocks take None; the annotation does not say so
            bias=True,
        )


class ImageAdversarialLoss(PatchAdversarialLoss):
    """A patch discriminator on image and prediction together: real is the teacher's prediction, fake the student's.

    The conditional game of structured distillation (SKDS, CVPR 2019, "holistic" term) and of CoCo DistillNet. Taps:
    ``logits, image``. No labels are needed. The discriminator is a PatchGAN and not the papers' own [default].
    """

    def seen_channels(self, taps: Sequence[Tensor]) -> int:
        return taps[0].shape[1] + taps[1].shape[1]

    def pair(self, taps: Sequence[Tensor], label: Tensor | None) -> Tensor:
        logits, image = taps
        return torch.cat([probabilities(logits, self.head), resize(image, logits.shape[2:]).to(logits.dtype)], 1)


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
