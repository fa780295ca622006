"""Similarity-preserving distillation (ICCV 2019, arXiv 1907.09682): images that the teacher finds alike stay alike."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from kdseg.losses.base import TapwiseLoss
from kdseg.losses.relations import batch_relations

__all__ = ["BatchSimilarityLoss", "batch_similarity"]


def batch_similarity(student: Tensor, teacher: Tensor) -> Tensor:
    """``‖G_T − G_S‖²_F / B`` with ``G`` the ``B × B`` scalar products of the images, each row divided by its length.

    A row has length 1 whatever the batch: the mean over the rows does not depend on B, where the published mean over
    the B² entries falls with 1/B, and its weight of 3000 belongs to batches of 64.

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
    return (rows_s - rows_t).square().sum(1).mean().to(student.dtype)


class BatchSimilarityLoss(TapwiseLoss):
    """:func:`batch_similarity`, summed over the taps. No adapters, no resizing; batches of four or more say most."""

    smallest_batch = 2
    batch_invariant = False
    resized = False

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        return batch_similarity(student, teacher)
