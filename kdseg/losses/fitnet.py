"""FitNet (arXiv 1412.6550): the student's features, brought to the teacher's width, follow the teacher's."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from kdseg.losses.adapters import channel_adapters
from kdseg.losses.base import DistillationLoss, Head, resize

__all__ = ["FitNetLoss"]


class FitNetLoss(DistillationLoss):
    """``mean (r(F_S) − F_T)²``, summed over the taps; r is a trained 1×1 convolution where the widths differ.

    Source: the papers' reference implementations. A teacher's map of another size is resized to the student's.

    Args:
        head: unused by this term.

    Example:
        >>> import torch
        >>> loss, features = FitNetLoss(), [torch.ones(1, 2, 4, 4)]
        >>> loss.build(features, features)
        >>> loss(features, [torch.zeros(1, 2, 4, 4)]).item()
        1.0
    """

    def __init__(self, head: Head = "softmax") -> None:
        super().__init__(head)
        self.adapters = nn.ModuleList()

    def build(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
        self.adapters = channel_adapters(student, teacher)

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        total = student[0].new_zeros(())
        for adapter, features, target in zip(self.adapters, student, teacher, strict=True):
            total = total + F.mse_loss(adapter(features), resize(target, features.shape[2:]))
        return total
