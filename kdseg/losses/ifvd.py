"""Intra-class feature variation distillation (ECCV 2020): how far each position is from the centre of its class."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from kdseg.losses.base import DistillationLoss, position_classes, resize

__all__ = ["ClassVariationLoss", "class_variation"]


def class_variation(features: Tensor, classes: Tensor) -> Tensor:
    """Cosine of each position's vector with the mean vector of its class in its image; 0 where the label is ignored.

    Args:
        features: ``BCH[WD]``.
        classes: ``BN``, −1 where a position does not count.

    Returns:
        ``BN``.

    Example:
        >>> import torch
        >>> class_variation(torch.tensor([[[3.0, 4.0, -5.0, 1.0]]]), torch.tensor([[0, 0, 1, -1]])).tolist()
        [[1.0, 1.0, 1.0, 0.0]]
    """
    vectors = features.flatten(2)
    member = F.one_hot(classes + 1)[:, :, 1:].to(vectors)
    centres = vectors @ member / member.sum(1, keepdim=True).clamp_min(1)
    own_centre = centres @ member.transpose(1, 2)
    lengths = (vectors.norm(dim=1) * own_centre.norm(dim=1)).clamp_min(1e-6)
    return (vectors * own_centre).sum(1) / lengths


class ClassVariationLoss(DistillationLoss):
    """``mean (v_S − v_T)²`` over the positions that count, ``v`` the :func:`class_variation`, summed over the taps.

    Channel-free, so no adapters. The label is resized to each tap, nearest neighbour.

    Args:
        head: with "sigmoid", two positions are of one class where all channels of the label agree.
    """

    needs_labels = True

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        assert label is not None
        total = student[0].new_zeros(())
        for tap_s, tap_t in zip(student, teacher, strict=True):
            size = tap_s.shape[2:]
            classes = position_classes(label, size, self.head)
            difference = class_variation(tap_s, classes) - class_variation(resize(tap_t, size), classes)
            total = total + difference.square().sum() / (classes >= 0).sum().clamp_min(1)
        return total
