"""Gram matrices: how the channels of a tap, or of two taps, act together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from kdseg.errors import UserError, suggestion
from kdseg.losses.adapters import channel_adapters
from kdseg.losses.base import DistillationLoss, TapwiseLoss
from kdseg.losses.channel_products import channel_products
from kdseg.losses.labels import Head
from kdseg.losses.relations import relation_distance, texture_distance

__all__ = ["FlowLoss", "GramLoss", "TextureLoss", "gram_distance"]

GramAxis = Literal["channel", "spatial"]


def gram_distance(student: Tensor, teacher: Tensor, gram_axis: GramAxis = "channel") -> Tensor:
    r"""``‖G_S − G_T‖²_F / ‖G_T‖²_F``, mean over the batch: the distance as a share of the teacher's own size.

    ``G = F Fᵀ / (C·N)`` between channels, or ``G = FᵀF / (C·N)`` between positions; the factor keeps zeros finite.

    Args:
        student: ``BCH[WD]``.
        teacher: ``BCH[WD]``, the same shape.
        gram_axis: "channel" or "spatial".

    Example:
        >>> gram_distance(torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)).item()
        1.0
    """
    scale = student[0].numel()
    gram_s, gram_t = channel_products([student]) / scale, channel_products([teacher]) / scale
    # FᵀF is as long as F Fᵀ
    whole = gram_t.square().sum((1, 2)).clamp_min(1e-8)
    if gram_axis == "spatial":
        apart = torch.stack([relation_distance(s[None], t[None]) for s, t in zip(student, teacher, strict=True)])
        squared = apart.double() / student.shape[1] ** 2
    else:
        squared = (gram_s - gram_t).square().sum((1, 2))
    return (squared / whole).mean().to(student.dtype)


class GramLoss(TapwiseLoss):
    """KM: :func:`gram_distance`, summed over the taps (arXiv 2404.02738; the formula is a reconstruction).

    Where the widths differ, a trained 1×1 convolution with batch normalisation brings the student to the teacher's.

    Args:
        gram_axis: "channel" or "spatial".
        head: unused by this term.
    """

    adapter = "norm"

    def __init__(self, gram_axis: GramAxis = "channel", head: Head = "softmax") -> None:
        super().__init__(head)
        if gram_axis not in ("channel", "spatial"):
            fix = suggestion(str(gram_axis), ["channel", "spatial"])
            raise UserError("gram_axis", found=repr(gram_axis), expected="channel or spatial", fix=fix)
        self.gram_axis: GramAxis = gram_axis

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        return gram_distance(student, teacher, self.gram_axis)


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


class TextureLoss(TapwiseLoss):
    """NST (arXiv 1707.01219): :func:`~kdseg.losses.relations.texture_distance`, summed over the taps. No adapters."""

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        return texture_distance(student, teacher)


def _flow(first: Tensor, second: Tensor) -> Tensor:
    """``B × C₁ × C₂`` in float64."""
    size = [min(a, b) for a, b in zip(first.shape[2:], second.shape[2:], strict=True)]
    pool = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)[len(size) - 1]
    first, second = (f if [*f.shape[2:]] == size else pool(f, size) for f in (first, second))
    # this block of the channel products alone; in float64, since student and teacher nearly cancel late in training
    return first.flatten(2).double() @ second.flatten(2).double().transpose(1, 2) / first[0, 0].numel()
