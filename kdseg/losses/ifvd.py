"""Intra-class feature variation distillation (ECCV 2020): how far each position is from the centre of its class."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from kdseg.losses.base import ClassRelationLoss

__all__ = ["ClassVariationLoss", "class_variation"]


def class_variation(features: Tensor, membership: Tensor) -> Tensor:
    """Cosine of each position's vector with the mean vector of each class in its image.

    Args:
        features: ``BCH[WD]``.
        membership: ``BKN``: how much of a position is of a class; see :func:`kdseg.losses.labels.class_membership`.

    Returns:
        ``BKN``.

    Example:
        >>> import torch
        >>> membership = torch.tensor([[[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]])
        >>> class_variation(torch.tensor([[[3.0, 4.0, -5.0]]]), membership).tolist()
        [[[1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]]]
    """
    vectors, member = features.flatten(2), membership.to(features)
    # a sum and a mean have one direction
    centres = F.normalize(vectors @ member.transpose(1, 2), dim=1, eps=1e-6)
    return centres.transpose(1, 2) @ F.normalize(vectors, dim=1, eps=1e-6)


class ClassVariationLoss(ClassRelationLoss):
    """``mean (v_S − v_T)²``, ``v`` the :func:`class_variation`, over the positions and classes, weighted by membership.

    Channel-free, so no adapters.
    """

    def distance(self, student: Tensor, teacher: Tensor, membership: Tensor) -> Tensor:
        difference = class_variation(student, membership) - class_variation(teacher, membership)
        member = membership.to(difference)
        return (difference.square() * member).sum() / member.sum().clamp_min(1e-6)
