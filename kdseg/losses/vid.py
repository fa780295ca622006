"""Variational information distillation (CVPR 2019): a bound on what the student's features tell of the teacher's."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from monai.networks.layers.factories import Conv
from torch import Tensor, nn
from torch.nn import functional as F

from kdseg.losses.base import DistillationLoss
from kdseg.losses.labels import Head
from kdseg.losses.sizes import resize

__all__ = ["VariationalInformationLoss", "gaussian_information"]

SMALLEST_VARIANCE = 1e-5
FIRST_VARIANCE = 5.0


def gaussian_information(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """``½ [(F_T − μ)² / σ_c² + log σ_c²]``, mean over all values: a negative log-likelihood of F_T.

    Args:
        mean: μ, what the student predicts, ``BCH[WD]``.
        target: F_T, the same shape.
        variance: σ², one value a channel, ``C``.

    Example:
        >>> gaussian_information(torch.zeros(1, 2, 4), torch.ones(1, 2, 4), torch.ones(2)).item()
        0.5
    """
    # a channel's variance is common to its positions: their mean error first, in fewer passes over the maps
    error = (target - mean).square().mean([0, *range(2, mean.ndim)])
    return (error / variance + variance.log()).mean() / 2


class VariationalInformationLoss(DistillationLoss):
    """VID: three trained 1×1 convolutions predict the teacher's features, a trained variance weighs the error.

    The variance is ``softplus(a_c) + 1e-5`` and starts at 5. The smallest value is not 0: it falls below as the
    prediction gets sure. Source: the reference implementations; summed over the taps.

    Args:
        head: unused by this term.

    A teacher's map of another size is resized to the student's.

    Example:
        >>> loss = VariationalInformationLoss()
        >>> loss.build([torch.zeros(1, 2, 4, 4)], [torch.zeros(1, 3, 4, 4)])
        >>> loss([torch.zeros(1, 2, 4, 4)], [torch.zeros(1, 3, 4, 4)]).shape
        torch.Size([])
    """

    zero_when_equal = False

    def __init__(self, head: Head = "softmax") -> None:
        super().__init__(head)
        self.predictors = nn.ModuleList()
        self.scales = nn.ParameterList()

    def build(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
        first = math.log(math.expm1(FIRST_VARIANCE - SMALLEST_VARIANCE))
        for features, target in zip(student, teacher, strict=True):
            convolution, width = Conv[Conv.CONV, features.ndim - 2], target.shape[1]
            predictor = nn.Sequential(
                convolution(features.shape[1], width, 1, bias=False),
                nn.ReLU(),
                convolution(width, width, 1, bias=False),
                nn.ReLU(),
                convolution(width, width, 1, bias=False),
            )
            self.predictors.append(predictor.to(features))
            self.scales.append(nn.Parameter(torch.full((width,), first).to(features)))

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        total = student[0].new_zeros(())
        for index, (predictor, features, target) in enumerate(zip(self.predictors, student, teacher, strict=True)):
            variance = F.softplus(self.scales[index]) + SMALLEST_VARIANCE
            target = resize(target, features.shape[2:])
            total = total + gaussian_information(predictor(features), target, variance)
        return total
