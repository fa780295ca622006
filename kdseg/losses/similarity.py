"""Similarity-preserving distillation (ICCV 2019, arXiv 1907.09682): images that the teacher finds alike stay alike."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from kdseg.losses.base import DistillationLoss
from kdseg.losses.relations import batch_relations

__all__ = ["BatchSimilarityLoss", "batch_similarity"]


def batch_similarity(student: Tensor, teacher: Tensor) -> Tensor:
    """``‖G_T − G_S‖²_F / B²`` with ``G`` the ``B × B`` scalar products of the images, each row divided by its length.

    Args:
        student: ``BC_sH[WD]``.
        teacher: ``BC_tH[WD]``; channels and size may differ.

    Example:
        >>> import torch
        >>> f = torch.randn(4, 2, 8, 8)
        >>> batch_similarity(f, 3 * f).item() < 1e-12
        True
    """
    rows_s, rows_t = (F.normalize(batch_relations(f), dim=1, eps=1e-12) for f in (student, teacher))
    return (rows_s - rows_t).square().mean().to(student.dtype)


class BatchSimilarityLoss(DistillationLoss):
    """:func:`batch_similarity`, summed over the taps. No adapters, no resizing; batches of four or more say most.

    Args:
        head: unused by this term.
    """

    smallest_batch = 2
    batch_invariant = False

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        total = student[0].new_zeros(())
        for tap_s, tap_t in zip(student, teacher, strict=True):
            total = total + batch_similarity(tap_s, tap_t)
        return total
