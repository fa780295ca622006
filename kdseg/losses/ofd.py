"""OFD, the overhaul of feature distillation (ICCV 2019): features before the ReLU, and a margin for silent channels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from kdseg.losses.adapters import channel_adapters
from kdseg.losses.base import DistillationLoss
from kdseg.losses.labels import Head
from kdseg.losses.sizes import resize

__all__ = ["OverhaulLoss", "negative_margin", "partial_distance"]


def negative_margin(mean: Tensor, deviation: Tensor) -> Tensor:
    """``E[x | x < 0] = μ − σ · φ(μ/σ) / Φ(−μ/σ)`` of a normal response; ``−3σ`` where it is hardly ever negative.

    "Hardly ever" is Φ(−μ/σ) ≤ 0.001. A channel without spread (σ = 0) has the margin ``min(μ, 0)``.

    Args:
        mean: μ of each channel, ``C``.
        deviation: σ ≥ 0 of each channel, ``C``.

    Example:
        >>> negative_margin(torch.tensor([0.0, 9.0]), torch.tensor([1.0, 1.0]))
        tensor([-0.7979, -3.0000])
    """
    ratio = mean.double() / deviation.double().clamp_min(1e-30)
    below = torch.special.ndtr(-ratio)
    density = torch.exp(-ratio.square() / 2) / math.sqrt(2 * math.pi)
    usual = mean.double() - deviation.double() * density / below.clamp_min(1e-30)
    margin = torch.where(below > 1e-3, usual, -3 * deviation.double())
    return torch.where(deviation > 0, margin, mean.double()).clamp_max(0).to(mean)


def partial_distance(student: Tensor, teacher: Tensor, margin: Tensor) -> Tensor:
    """``mean (s − t')² · [s > t' or t' > 0]`` with ``t' = max(t, m)``: silent channels just stay below m.

    Args:
        student: ``BCH[WD]``, already of the teacher's width.
        teacher: the same shape, before the ReLU.
        margin: m of each channel, ``C``.

    Example:
        >>> partial_distance(torch.tensor([[[-9.0, 2.0]]]), torch.tensor([[[-5.0, 1.0]]]), torch.tensor([-1.0])).item()
        0.5
    """
    distance: Tensor = _PartialSquares.apply(student, teacher, margin)
    return distance / student.numel()


class _PartialSquares(torch.autograd.Function):
    """The sum of squares in as few passes over the maps as it takes; its gradient is twice the gap that counts."""

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor, margin: Tensor) -> Tensor:
        gap = torch.empty_like(student)
        total = student.new_zeros(())
        margin = margin.view(-1, *[1] * (student.ndim - 2))
        # image by image: what a pass writes is still in the cache for the next one
        for s, t, own in zip(student, teacher, gap, strict=True):
            target = torch.maximum(t, margin)
            silent = target <= 0
            torch.sub(s, target, out=own)
            own.masked_fill_(silent.logical_and_(own <= 0), 0)
            total += own.square().sum()
        ctx.save_for_backward(gap)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (gap,) = ctx.saved_tensors
        return gap * (2 * gradient), None, None


class OverhaulLoss(DistillationLoss):
    """OFD: :func:`partial_distance` at every tap, the deepest tap whole, each one before it at half the weight.

    Connectors (trained 1×1 convolution and batch normalisation) bring the student to the teacher's width where the two
    differ. Margins come from the teacher's own normalisation: the last affine one with the tap's channels inside the
    module that gives the tap (μ = bias, σ = |weight|). A tap without one counts as standard normal, which changes
    nothing for a tap after a ReLU.

    Source: the authors' code (margins, mask, dividers). Ours: the mean over channels and positions where they sum, so
    that the value depends neither on the image's size nor on the teacher's width; connectors only where widths differ.

    Args:
        head: unused by this term.

    A teacher's map of another size is resized to the student's.

    Example:
        >>> loss, norm = OverhaulLoss(), nn.BatchNorm2d(2)
        >>> loss.see_teacher([norm])
        >>> loss.build([torch.zeros(1, 2, 4, 4)], [torch.zeros(1, 2, 4, 4)])
        >>> loss.margins[0]
        tensor([-0.7979, -0.7979])
    """

    def __init__(self, head: Head = "softmax") -> None:
        super().__init__(head)
        self.connectors = nn.ModuleList()
        self._statistics: list[list[tuple[Tensor, Tensor]]] = []

    @property
    def margins(self) -> list[Tensor]:
        """The margin of each tap's channels, ``C``."""
        return [self.get_buffer(f"margin{index}") for index in range(len(self.connectors))]

    def see_teacher(self, modules: Sequence[nn.Module | None]) -> None:
        self._statistics = [_normalisations(module) for module in modules]

    def build(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
        self.connectors = channel_adapters(student, teacher, "norm")
        for index, target in enumerate(teacher):
            channels = target.shape[1]
            found = [pair for pair in self._statistics[index] if len(pair[0]) == channels] if self._statistics else []
            mean, deviation = found[-1] if found else (torch.zeros(channels), torch.ones(channels))
            self.register_buffer(f"margin{index}", negative_margin(mean, deviation).to(target))

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        total = student[0].new_zeros(())
        for index, connector in enumerate(self.connectors):
            target = resize(teacher[index], student[index].shape[2:])
            distance = partial_distance(connector(student[index]), target, self.margins[index])
            total = total + distance / 2 ** (len(self.connectors) - 1 - index)
        return total


def _normalisations(module: nn.Module | None) -> list[tuple[Tensor, Tensor]]:
    """Mean and deviation of what each affine normalisation inside ``module`` gives, in the order of the modules."""
    if module is None:
        return []
    kinds = (nn.modules.batchnorm._NormBase, nn.GroupNorm)
    return [
        (inner.bias.detach(), inner.weight.detach().abs())
        for inner in module.modules()
        if isinstance(inner, kinds) and inner.weight is not None and inner.bias is not None
    ]
