"""Soft Dice between the probability maps of student and teacher, exact where the teacher is unsure."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from kdseg.losses.base import DistillationLoss
from kdseg.losses.labels import probabilities
from kdseg.losses.sizes import resize

__all__ = ["OverlapLoss", "soft_dice_distance"]

SMOOTH = 1e-5


def soft_dice_distance(p: Tensor, q: Tensor) -> Tensor:
    """``Σ|p − q| / Σ(p + q)`` over the voxels of each image and class, averaged (arXiv 2303.16296).

    For hard masks it is ``1 − Dice``; for soft ones it is 0 exactly where the maps agree, which ``1 − 2Σpq/Σ(p + q)``
    is not.

    Args:
        p, q: probabilities ``BKH[WD]``.

    Example:
        >>> import torch
        >>> round(soft_dice_distance(torch.full((1, 1, 2, 2), 0.5), torch.full((1, 1, 2, 2), 0.25)).item(), 4)
        0.3333
    """
    apart, whole = (p - q).abs().flatten(2).sum(2), (p + q).flatten(2).sum(2)
    return (apart / (whole + SMOOTH)).mean()


class OverlapLoss(DistillationLoss):
    """:func:`soft_dice_distance` of the student's and the teacher's probabilities.

    A divergence is a mean over voxels, in which a thin vessel or a small organ hardly counts; here every class of every
    image weighs the same. Labels are not looked at, so unlabelled images count.

    The tap is ``logits``; a teacher's map of another size is resized.
    """

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        target = resize(teacher[0], student[0].shape[2:])
        return soft_dice_distance(probabilities(student[0], self.head), probabilities(target, self.head))
