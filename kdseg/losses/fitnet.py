"""FitNet (arXiv 1412.6550): the student's features, brought to the teacher's width, follow the teacher's."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from kdseg.losses.base import TapwiseLoss

__all__ = ["FitNetLoss"]


class FitNetLoss(TapwiseLoss):
    """``mean (r(F_S) − F_T)²``, summed over the taps; r is a trained 1×1 convolution where the widths differ.

    Source: the papers' reference implementations. A teacher's map of another size is resized to the student's.

    Example:
        >>> import torch
        >>> loss, features = FitNetLoss(), [torch.ones(1, 2, 4, 4)]
        >>> loss.build(features, features)
        >>> loss(features, [torch.zeros(1, 2, 4, 4)]).item()
        1.0
    """

    adapter = "conv"

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        return F.mse_loss(student, teacher)
