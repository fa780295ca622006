"""The pair-wise term of structured knowledge distillation (CVPR 2019; TPAMI): how alike the regions of a tap are."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from kdseg.errors import UserError
from kdseg.losses.base import TapwiseLoss
from kdseg.losses.labels import Head
from kdseg.losses.relations import relation_distance

__all__ = ["PairwiseLoss"]


class PairwiseLoss(TapwiseLoss):
    """``Σ (a_S − a_T)² / m²`` over the pairs of m regions, ``a`` the cosine of their vectors, summed over the taps.

    A region is a window of ``pool`` times the tap's size, max-pooled to one vector; with ``pool=0`` every position is a
    region of its own, which is exact and cheap too. The other two terms of the method are those of
    :class:`~kdseg.losses.LogitsLoss` and :class:`~kdseg.losses.ImageAdversarialLoss`.

    Args:
        pool: window as a share of the tap's size, 0 to 1; the authors' 0.5 leaves 2×2(×2) regions.
        head: unused by this term.
    """

    def __init__(self, pool: float = 0.5, head: Head = "softmax") -> None:
        super().__init__(head)
        if not 0 <= pool <= 1:
            raise UserError("pool", found=str(pool), expected="a share from 0 to 1", fix="use 0.5, or 0 for no pooling")
        self.pool = pool

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        return relation_distance(self._regions(student), self._regions(teacher), cosine=True)

    def _regions(self, tap: Tensor) -> Tensor:
        window = [max(1, int(size * self.pool)) for size in tap.shape[2:]]
        pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[tap.ndim - 3]
        return pool(tap, window, window, ceil_mode=True)
