"""Gram matrices: how the channels of a tap, or of two taps, act together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdseg.errors import UserError, suggestion
from kdseg.losses.adapters import channel_adapters
from kdseg.losses.base import DistillationLoss, Head, resize
from kdseg.losses.channel_products import channel_products
from kdseg.losses.relations import relation_distance, texture_distance

__all__ = ["FlowLoss", "GramLoss", "TextureLoss", "gram_distance"]

GramAxis = Literal["channel", "spatial"]


def gram_distance(student: Tensor, teacher: Tensor, gram_axis: GramAxis = "channel") -> Tensor:
    r"""``‖G_T − G_S‖²_F`` over the number of entries, mean over the batch.

    ``G = F Fᵀ / (C·N)`` between channels, or ``G = FᵀF / C`` between positions.

    Args:
        student: ``BCH[WD]``.
        teacher: ``BCH[WD]``, the same shape.
        gram_axis: "channel" or "spatial".

    Example:
        >>> gram_distance(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)).item()
        1.0
    """
    channels, positions = student.shape[1], student[0, 0].numel()
    if gram_axis == "spatial":
        return relation_distance(student, teacher) / channels**2
    difference = channel_products([student]) - channel_products([teacher])
    return (difference / (channels * positions)).square().mean().to(student.dtype)


class GramLoss(DistillationLoss):
    """KM: :func:`gram_distance`, summed over the taps (arXiv 2404.02738; the formula is a reconstruction).

    Where the widths differ, a trained 1×1 convolution with batch normalisation brings the student to the teacher's.

    Args:
        gram_axis: "channel" or "spatial".
        head: unused by this term.
    """

    def __init__(self, gram_axis: GramAxis = "channel", head: Head = "softmax") -> None:
        super().__init__(head)
        if gram_axis not in ("channel", "spatial"):
            fix = suggestion(str(gram_axis), ["channel", "spatial"])
            raise UserError("gram_axis", found=repr(gram_axis), expected="channel or spatial", fix=fix)
        self.gram_axis: GramAxis = gram_axis
        self.adapters = nn.ModuleList()

    def build(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
        self.adapters = channel_adapters(student, teacher, batch_norm=True)

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        total = student[0].new_zeros(())
        for adapter, tap_s, tap_t in zip(self.adapters, student, teacher, strict=True):
            total = total + gram_distance(adapter(tap_s), resize(tap_t, tap_s.shape[2:]), self.gram_axis)
        return total


class FlowLoss(DistillationLoss):
    """FSP (CVPR 2017): the flow ``G = F¹ F²ᵀ / N`` from one tap to another, its mean squared difference.

    The taps are pairs: ``enc3, dec3, …``, whose terms add up. Of a pair the larger tap is max-pooled to the size of the
    smaller; a 1×1 convolution brings the student's taps to the teacher's widths where they differ.

    Args:
        head: unused by this term.
    """

    def build(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
        if len(student) % 2:
            fix = "name them as enc3, dec3, …"
            raise UserError("taps of the flow term", found=f"{len(student)} taps", expected="pairs of taps", fix=fix)
        self.adapters = channel_adapters(student, teacher)

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        adapted = [adapter(tap) for adapter, tap in zip(self.adapters, student, strict=True)]
        total = student[0].new_zeros((), dtype=torch.float64)
        for first in range(0, len(student), 2):
            total = total + (_flow(*adapted[first : first + 2]) - _flow(*teacher[first : first + 2])).square().mean()
        return total.to(student[0].dtype)


class TextureLoss(DistillationLoss):
    """NST (arXiv 1707.01219): :func:`~kdseg.losses.relations.texture_distance`, summed over the taps. No adapters.

    Args:
        head: unused by this term.
    """

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        total = student[0].new_zeros(())
        for tap_s, tap_t in zip(student, teacher, strict=True):
            total = total + texture_distance(tap_s, resize(tap_t, tap_s.shape[2:]))
        return total


def _flow(first: Tensor, second: Tensor) -> Tensor:
    """``B × C₁ × C₂`` in float64."""
    size = [min(a, b) for a, b in zip(first.shape[2:], second.shape[2:], strict=True)]
    pool = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)[len(size) - 1]
    first, second = (f if [*f.shape[2:]] == size else pool(f, size) for f in (first, second))
    # this block of the channel products alone; in float64, since student and teacher nearly cancel late in training
    return first.flatten(2).double() @ second.flatten(2).double().transpose(1, 2) / first[0, 0].numel()
