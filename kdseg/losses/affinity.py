"""Affinity terms: how alike the positions of a tap are, within a class and between classes, and at class edges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from kdseg.errors import UserError
from kdseg.losses.base import ClassRelationLoss, DistillationLoss
from kdseg.losses.labels import Head, one_hot_label, probabilities
from kdseg.losses.relations import class_relation_distance
from kdseg.losses.sizes import resize

__all__ = ["AdaptiveAffinityLoss", "AffinityFieldLoss", "adaptive_affinity"]

TINY = 1e-6
"""Pairs below this are rounding: an image has none."""


def adaptive_affinity(student: Tensor, teacher: Tensor, membership: Tensor) -> Tensor:
    r"""``w₊ · mean_{same class} (a_S − a_T)² + w₋ · mean_{other class} (a_S − a_T)²`` over all pairs of positions.

    ``a`` is the cosine of the feature vectors of two positions. The weights balance the two kinds of pairs: ``w₊`` is
    the share of pairs of different classes, ``w₋`` that of pairs of one class. Exact, without the matrix of all pairs.

    Args:
        student: ``BC_sH[WD]``.
        teacher: ``BC_tH[WD]``, the same number N of positions.
        membership: ``BKN``, see :func:`kdseg.losses.labels.class_membership`; an image without any counts as 0.

    Example:
        >>> f = torch.randn(1, 3, 4, 4)
        >>> adaptive_affinity(f, 2 * f, torch.rand(1, 2, 16)).item() < 1e-12
        True
    """
    within, between, pairs_within, pairs_between = class_relation_distance(student, teacher, membership)
    pairs = (pairs_within + pairs_between).clamp_min(TINY)
    mean_within, mean_between = within / pairs_within.clamp_min(TINY), between / pairs_between.clamp_min(TINY)
    loss = pairs_between / pairs * mean_within + pairs_within / pairs * mean_between
    return loss.mean().to(student.dtype)


class AdaptiveAffinityLoss(ClassRelationLoss):
    """:func:`adaptive_affinity`, summed over the taps (arXiv 2404.02738; the formula is a reconstruction).

    An image with a single class has no pairs of different classes, and the weights make the term 0 there.
    """

    def distance(self, student: Tensor, teacher: Tensor, membership: Tensor) -> Tensor:
        return adaptive_affinity(student, teacher, membership)


class AffinityFieldLoss(DistillationLoss):
    """Adaptive affinity fields (ECCV 2018, arXiv 1803.10335): the student's prediction at the edges of the annotation.

    For a pixel i and its neighbour j on the border of a patch of half-size s, and each class, with the student's
    probabilities clipped to [1e-4, 1]: ``D = p_j log(p_j/p_i) + (1−p_j) log((1−p_j)/(1−p_i))``; where the annotation of
    the class differs the loss is ``max(0, margin − D)``, elsewhere ``D``. For each class and both kinds of pairs a
    softmax weighs the patch sizes; its weights ascend the loss, so that the hardest size counts most: they are trained
    by the student's optimiser, their gradient with its sign turned. The teacher is not looked at. Tap: ``logits``.

    Args:
        half_sizes: the half-sizes s; the largest must be smaller than the image.
        margin: of D at edges.
        head: "softmax" or "sigmoid".
    """

    needs_labels = True
    zero_when_equal = False

    def __init__(
        self,
        half_sizes: Sequence[int] = (1, 2, 3),
        margin: float = 3.0,
        head: Head = "softmax",
    ) -> None:
        super().__init__(head)
        if not half_sizes or min(half_sizes) < 1:
            fix = "leave the setting out for the sizes 1, 2 and 3"
            raise UserError("half_sizes", found=str(list(half_sizes)), expected="whole numbers from 1 on", fix=fix)
        self.half_sizes = tuple(half_sizes)
        self.margin = margin

    def build(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
        sizes, smallest = len(self.half_sizes), min(student[0].shape[2:])
        if max(self.half_sizes) >= smallest:
            fix = "give smaller half_sizes, or larger crops"
            expected = f"less than the prediction's {smallest} pixels"
            raise UserError("half_sizes", found=str(max(self.half_sizes)), expected=expected, fix=fix)
        self.edge_weights = nn.Parameter(student[0].new_zeros(student[0].shape[1], sizes))
        self.other_weights = nn.Parameter(student[0].new_zeros(student[0].shape[1], sizes))

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        assert label is not None
        logits = resize(student[0], label.shape[2:])
        truth, valid = one_hot_label(label, logits.shape[1], self.head)
        edge, other = self._sums(probabilities(logits, self.head), truth, valid)
        weights_edge = _Ascent.apply(self.edge_weights).softmax(1)
        weights_other = _Ascent.apply(self.other_weights).softmax(1)
        return (weights_edge * edge + weights_other * other).sum(1).mean()

    # a loop over up to 3 × 26 directions: compiling it costs far more than it gives
    @torch.compiler.disable
    def _sums(self, p: Tensor, truth: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """For each class and half-size, ``K × S``: the mean over the pairs at edges and over the others."""
        edge, other = [], []
        axes = [0, *range(2, p.ndim)]
        for half_size in self.half_sizes:
            sums = p.new_zeros(4, p.shape[1])
            for here, there in _neighbours(half_size, p.shape[2:]):
                divergence = _bernoulli_divergence(p[there], p[here])
                both = valid[here] * valid[there]
                differs = (truth[here] != truth[there]).to(p) * both
                agrees = both - differs
                sums = sums + torch.stack(
                    [
                        ((self.margin - divergence).clamp_min(0) * differs).sum(axes),
                        differs.sum(axes),
                        (divergence * agrees).sum(axes),
                        agrees.sum(axes),
                    ]
                )
            edge.append(sums[0] / sums[1].clamp_min(1))
            other.append(sums[2] / sums[3].clamp_min(1))
        return torch.stack(edge, 1), torch.stack(other, 1)


def _bernoulli_divergence(p: Tensor, q: Tensor) -> Tensor:
    p, q = p.clamp(1e-4, 1), q.clamp(1e-4, 1)
    not_p, not_q = (1 - p).clamp_min(1e-4), (1 - q).clamp_min(1e-4)
    return p * (p / q).log() + not_p * (not_p / not_q).log()


def _neighbours(half_size: int, size: Sequence[int]) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Pairs of crops of a map: what has a neighbour at ``half_size`` in some direction, and these neighbours."""
    for direction in product((-half_size, 0, half_size), repeat=len(size)):
        if not any(direction):
            continue
        here = [slice(max(0, -d), n - max(0, d)) for d, n in zip(direction, size, strict=True)]
        there = [slice(max(0, d), n - max(0, -d)) for d, n in zip(direction, size, strict=True)]
        everything = (slice(None), slice(None))
        yield (*everything, *here), (*everything, *there)


class _Ascent(torch.autograd.Function):
    """The same value, the gradient with its sign turned: a minimiser of the loss then ascends it."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return -gradient
