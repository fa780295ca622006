"""Soft Dice between the probability maps of student and teacher."""

from __future__ import annotations

from collections.abc import Sequence

from monai.losses import DiceLoss
from torch import Tensor

from kdseg.losses.base import IGNORED, DistillationLoss, Head, probabilities, resize

__all__ = ["OverlapLoss"]


class OverlapLoss(DistillationLoss):
    """``1 − 2 Σ p_S p_T / (Σ p_S² + Σ p_T²)`` of each image and class, averaged: MONAI's soft Dice, teacher as target.

    The divergence of :class:`LogitsLoss` is a mean over voxels, in which a thin vessel or a small organ hardly counts;
    here every class of every image weighs the same. The squares make it zero where the maps agree, also where the
    teacher is unsure. Source: our default, the supervised Dice loss with the teacher's probabilities as its label.

    Args:
        use_ignored: also learn from the teacher where the label is 255.
        head: "softmax" or "sigmoid".

    The tap is ``logits``; a teacher's map of another size is resized.

    Example:
        >>> import torch
        >>> z = torch.randn(2, 3, 8, 8)
        >>> bool(OverlapLoss()([z], [z]).abs() < 1e-6)
        True
    """

    def __init__(self, use_ignored: bool = True, head: Head = "softmax") -> None:
        super().__init__(head)
        self.use_ignored = use_ignored
        self.dice = DiceLoss(squared_pred=True)

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        p = probabilities(student[0], self.head)
        q = probabilities(resize(teacher[0], student[0].shape[2:]), self.head)
        if label is not None and not self.use_ignored:
            valid = (label != IGNORED).all(1, keepdim=True).to(p)
            p, q = p * valid, q * valid
        value: Tensor = self.dice(p, q)
        return value
