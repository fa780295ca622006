"""Intra-class feature variation distillation (ECCV 2020): how far each position is from the centre of its class."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from kdseg.losses.base import ClassRelationLoss

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


class ClassVariationLoss(ClassRelationLoss):
    """``mean (v_S − v_T)²`` over the positions that count, ``v`` the :func:`class_variation`, summed over the taps.

    Channel-free, so no adapters.
    """

    def distance(self, student: Tensor, teacher: Tensor, classes: Tensor) -> Tensor:
        difference = class_variation(student, classes) - class_variation(teacher, classes)
        return difference.square().sum() / (classes >= 0).sum().clamp_min(1)
