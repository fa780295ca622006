"""Exact relations between all pairs of positions, without the matrix of all pairs.

For features ``F`` of shape ``C × N`` the matrix of relations ``FᵀF`` has N² entries, but the squared distance between
two such matrices needs channel products only (``C × C``), because ``‖AᵀB‖² = ⟨AAᵀ, BBᵀ⟩``. Time is N·C² and memory
C² where the dense form takes N²·C and N². Everything here follows from these products.

Where student and teacher nearly agree, their terms cancel and float32 has no digits left. A distance is therefore
computed from float32 products first, and once more from float64 products where so much cancelled that it matters.

Where a tap has fewer positions than channels (a bottleneck), the small matrix is the one of all pairs, and is used.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from kdseg.losses.channel_products import EPSILON, channel_products

__all__ = [
    "batch_relations",
    "class_relation_distance",
    "cross_relation_distance",
    "relation_distance",
    "texture_distance",
]

_CANCELLED = 0.05
"""Where less than this share of the whole is left, float32 products have too few digits (a relative error of 1e-5)."""


def relation_distance(student: Tensor, teacher: Tensor, cosine: bool = False) -> Tensor:
    r"""``mean_b ‖F_SᵀF_S − F_TᵀF_T‖²_F / N²``: how every position relates to every other, student against teacher.

    Args:
        student: ``BC_sH[WD]``.
        teacher: ``BC_tH[WD]``, the same number N of positions; the channels may differ.
        cosine: relations are cosines rather than scalar products.

    Example:
        >>> f = torch.eye(2).reshape(1, 2, 1, 2)
        >>> relation_distance(f, torch.zeros(1, 1, 1, 2)).item()  # two positions, ‖identity‖² / 4
        0.5
    """
    return cross_relation_distance(student, student, teacher, teacher, cosine)


def cross_relation_distance(
    a_student: Tensor, b_student: Tensor, a_teacher: Tensor, b_teacher: Tensor, cosine: bool = False
) -> Tensor:
    r"""``mean_b ‖A_SᵀB_S − A_TᵀB_T‖²_F / (N·M)``: relations of every position of A with every position of B.

    Args:
        a_student, b_student: ``BC_sH[WD]`` with N and with M positions.
        a_teacher, b_teacher: ``BC_tH[WD]`` with the same N and M.
        cosine: relations are cosines rather than scalar products.

    Example:
        >>> f = torch.randn(2, 3, 4, 4)
        >>> cross_relation_distance(f, f, f, f).item() < 1e-12
        True
    """
    pairs = a_student[0, 0].numel() * b_student[0, 0].numel()
    if pairs <= max(a_student.shape[1], a_teacher.shape[1]) ** 2:
        a_s, b_s, a_t, b_t = (_vectors(f, cosine) for f in (a_student, b_student, a_teacher, b_teacher))
        squared = (a_s.transpose(1, 2) @ b_s - a_t.transpose(1, 2) @ b_t).square().sum((1, 2))
    else:
        taps = a_student, b_student, a_teacher, b_teacher
        squared, whole = _from_products(*taps, cosine, torch.promote_types(a_student.dtype, torch.float32))
        if a_student.dtype != torch.float64 and bool((squared <= _CANCELLED * whole).any()):
            squared, _ = _from_products(*taps, cosine, torch.float64)
    return (squared.mean() / pairs).to(a_student.dtype)


def class_relation_distance(
    student: Tensor, teacher: Tensor, membership: Tensor, cosine: bool = True
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """:func:`relation_distance` split by whether two positions are of the same class.

    Two positions are of one class by ``Σ_c m_ic m_jc``. The part within a class is the distance of its weighted
    positions alone; the part between classes is the total less that, and the total needs no second pass: the products
    of the classes add up to it.

    Args:
        student: ``BC_sH[WD]``.
        teacher: ``BC_tH[WD]``, the same number N of positions.
        membership: m, ``BKN``: how much of a position is of a class; see :func:`kdseg.losses.labels.class_membership`.
        cosine: relations are cosines rather than scalar products.

    Returns:
        For every image the summed squares within classes and between classes, and the number of pairs in each: four
        tensors ``B`` in float64.

    Example:
        >>> f = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
        >>> [x.item() for x in class_relation_distance(f, torch.ones(1, 1, 1, 2), torch.eye(2).unsqueeze(0))]
        [0.0, 2.0, 2.0, 2.0]
    """
    channels, weights = student.shape[1], membership.double()
    sizes = weights.sum(2)
    pairs_within = sizes.square().sum(1)
    pairs_between = (sizes.sum(1).square() - pairs_within).clamp_min(0)
    if student[0, 0].numel() <= max(channels, teacher.shape[1]):
        s, t = _vectors(student, cosine), _vectors(teacher, cosine)
        squares = (s.transpose(1, 2) @ s - t.transpose(1, 2) @ t).square()
        same = weights.transpose(1, 2) @ weights
        valid = weights.sum(1)
        within = (squares * same).sum((1, 2))
        between = (squares * (valid.unsqueeze(1) * valid.unsqueeze(2) - same)).sum((1, 2))
        return within, between, pairs_within, pairs_between
    products = channel_products([student, teacher], cosine, membership)
    total = products.sum(1)
    within = _squared_distance(products, products, channels)[0].sum(1)
    between = (_squared_distance(total, total, channels)[0] - within).clamp_min(0)
    return within, between, pairs_within, pairs_between


def texture_distance(student: Tensor, teacher: Tensor) -> Tensor:
    r"""``mean_b ‖F̂_TᵀF̂_T / C_T − F̂_SᵀF̂_S / C_S‖²_F``, each channel's map divided by its length over space.

    NST's squared maximum mean discrepancy with the polynomial kernel (arXiv 1707.01219), up to its constant part.

    Args:
        student: ``BC_sH[WD]``.
        teacher: ``BC_tH[WD]``, the same number of positions.

    Example:
        >>> f = torch.rand(2, 3, 4, 4)
        >>> texture_distance(f, 2 * f).item() < 1e-12  # the scale of a channel does not matter
        True
    """
    channels_s, channels_t = student.shape[1], teacher.shape[1]
    products = channel_products([student, teacher])
    lengths = products.diagonal(dim1=1, dim2=2).clamp_min(EPSILON**2).sqrt()
    shares = lengths.new_tensor([channels_s**-0.5] * channels_s + [channels_t**-0.5] * channels_t)
    scale = shares / lengths
    products = products * scale.unsqueeze(1) * scale.unsqueeze(2)
    return _squared_distance(products, products, channels_s)[0].mean().to(student.dtype)


def batch_relations(features: Tensor) -> Tensor:
    """``X Xᵀ``, ``B × B`` in float64, of the flattened images ``X``; of ``BCH[WD]`` features."""
    return channel_products([features.flatten(1).unsqueeze(0)])[0]


def _from_products(
    a_student: Tensor, b_student: Tensor, a_teacher: Tensor, b_teacher: Tensor, cosine: bool, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """:func:`_squared_distance` of each image, from products in ``dtype``: float32 takes half the time of float64."""
    a = b = channel_products([a_student, a_teacher], cosine, dtype=dtype)
    if b_student is not a_student or b_teacher is not a_teacher:
        b = channel_products([b_student, b_teacher], cosine, dtype=dtype)
    return _squared_distance(a, b, a_student.shape[1])


def _squared_distance(a: Tensor, b: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """``‖A_SᵀB_S − A_TᵀB_T‖²`` from the stacked products of A and of B, the student's channels first.

    With it ``‖A_SᵀB_S‖² + ‖A_TᵀB_T‖²``, of which it is what does not cancel.
    """
    s, t = slice(None, channels), slice(channels, None)
    own = (a[..., s, s] * b[..., s, s]).sum((-2, -1)) + (a[..., t, t] * b[..., t, t]).sum((-2, -1))
    return (own - 2 * (a[..., s, t] * b[..., s, t]).sum((-2, -1))).clamp_min(0), own


def _vectors(features: Tensor, cosine: bool) -> Tensor:
    vectors = features.flatten(2).double()
    return F.normalize(vectors, dim=1, eps=EPSILON) if cosine else vectors
