"""Relational knowledge distillation (CVPR 2019, arXiv 1904.05068): distances and angles between a batch's images."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from kdseg.errors import UserError, suggestion
from kdseg.losses.base import TapwiseLoss
from kdseg.losses.labels import Head

__all__ = ["RelationalLoss", "triplet_angles", "unit_distances"]

Relation = Literal["distance", "angle"]


def unit_distances(vectors: Tensor) -> Tensor:
    """Distances between ``B × C`` vectors, ``B × B``, divided by the mean of those between different vectors.

    Example:
        >>> unit_distances(torch.tensor([[0.0], [1.0], [3.0]]))[0].tolist()
        [0.0, 0.5, 1.5]
    """
    squared = (vectors.unsqueeze(0) - vectors.unsqueeze(1)).square().sum(2)
    # the root's derivative is infinite at 0, where two images agree
    distances = torch.where(squared > 1e-12, squared.clamp_min(1e-12).sqrt(), 0.0)
    apart = (distances > 0).sum().clamp_min(1)
    return distances / (distances.sum() / apart).clamp_min(1e-6)


def triplet_angles(vectors: Tensor) -> Tensor:
    """Cosine of the angle at each of ``B × C`` vectors between every two others, ``B × B × B``.

    Example:
        >>> triplet_angles(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))[0, 1].tolist()
        [0.0, 1.0, 0.0]
    """
    directions = F.normalize(vectors.unsqueeze(0) - vectors.unsqueeze(1), dim=2, eps=1e-6)
    return directions @ directions.transpose(1, 2)


class RelationalLoss(TapwiseLoss):
    """Smooth L1 between the teacher's and the student's :func:`unit_distances` or :func:`triplet_angles`.

    An image's vector is the mean of its tap over space. Where the batch has fewer than three images, the distances are
    all 1 and there are no angles: such a batch is refused. Terms of several taps add up.

    Args:
        relation: "distance" or "angle".
        head: unused by this term.
    """

    smallest_batch = 3
    batch_invariant = False
    resized = False

    def __init__(self, relation: Relation = "distance", head: Head = "softmax") -> None:
        super().__init__(head)
        if relation not in ("distance", "angle"):
            fix = suggestion(str(relation), ["distance", "angle"])
            raise UserError("relation", found=repr(relation), expected="distance or angle", fix=fix)
        self.relation = relation

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        relate = unit_distances if self.relation == "distance" else triplet_angles
        return F.smooth_l1_loss(relate(student.flatten(2).mean(2)), relate(teacher.flatten(2).mean(2)))
