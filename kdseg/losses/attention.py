"""Attention transfer (arXiv 1612.03928): where a network is active, whatever its width."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from kdseg.losses.base import TapwiseLoss
from kdseg.losses.sizes import resize

__all__ = ["AttentionLoss", "attention_map"]


def attention_map(features: Tensor, size: Sequence[int], power: int = 2) -> Tensor:
    """``n(flatten(mean_c Fᵖ))``: the activity at each position, of length 1 for each image.

    Args:
        features: ``BCH[WD]``.
        size: spatial size to which the map is resized before it is normalised.
        power: p, an even number.

    Returns:
        ``B × N`` for the N positions of ``size``; zeros for features that are zero everywhere.

    Example:
        >>> attention_map(torch.ones(1, 3, 2, 2), (2, 2)).tolist()
        [[0.5, 0.5, 0.5, 0.5]]
    """
    # the map does not depend on the scale of the features; without it the fourth power leaves the range of float32
    scale = features.detach().flatten(1).abs().amax(1).clamp_min(torch.finfo(features.dtype).tiny ** 0.5)
    features = features / scale.view(-1, *[1] * (features.ndim - 1))
    # squared first: that, and a square of it, is far faster than a general power
    activity = resize(features.square().pow(power // 2).mean(1, keepdim=True), size)
    return F.normalize(activity.flatten(1), dim=1)


class AttentionLoss(TapwiseLoss):
    """``mean (Q_S − Q_T)²`` of the attention maps ``Q = n(flatten(mean_c F²))``, summed over the taps.

    Source: the authors' code. The teacher's map is resized where the sizes differ (our addition).

    Example:
        >>> features = [torch.ones(1, 2, 4, 4)]
        >>> AttentionLoss()(features, [5 * features[0]]).item()
        0.0
    """

    resized = False

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        size = student.shape[2:]
        return F.mse_loss(attention_map(student, size), attention_map(teacher, size))
