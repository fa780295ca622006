"""Exact relations between all pairs of positions, without the matrix of all pairs.

For features ``F`` of shape ``C × N`` the matrix of relations ``FᵀF`` has N² entries, but the squared distance between
two such matrices needs channel products only (``C × C``), because ``‖AᵀB‖² = ⟨AAᵀ, BBᵀ⟩``. Time is N·C² and memory
C² where the dense form takes N²·C and N². Everything here follows from :func:`channel_products`, which multiplies a
few positions at a time and sums in float64, and whose gradient is worked out by hand.

Where student and teacher nearly agree, their terms cancel and float32 has no digits left. A distance is therefore
computed from float32 products first, and once more from float64 products where so much cancelled that it matters.

Where a tap has fewer positions than channels (a bottleneck), the small matrix is the one of all pairs, and is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

__all__ = [
    "batch_relations",
    "channel_products",
    "class_relation_distance",
    "cross_relation_distance",
    "relation_distance",
    "texture_distance",
]

_EPSILON = 1e-6
"""Vectors shorter than this have no direction: their cosine with anything is near 0, and they get no gradient."""

_CHUNK_BYTES = {"cpu": 2**20, "cuda": 2**25}
"""Size of a chunk: within a CPU's cache; on a GPU large enough to keep it busy."""

_CANCELLED = 0.05
"""Where less than this share of the whole is left, float32 products have too few digits (a relative error of 1e-5)."""

_KEPT_BYTES = 2**24
"""Features up to this size are kept from forward to backward; larger ones are made again."""


def channel_products(
    features: Sequence[Tensor],
    cosine: bool = False,
    classes: Tensor | None = None,
    number_of_classes: int = 1,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """``F Fᵀ`` of the stacked features, ``B × C × C`` in float64 with C the sum of the channels.

    Args:
        features: each ``BC_iH[WD]`` with the same B and number N of positions.
        cosine: first divide each feature vector by its length, position by position, each of the features on its own.
        classes: ``BN`` class number of each position, −1 where the position does not count; the result is then
            ``B × K × C × C``, one product per class.
        number_of_classes: K.
        dtype: in which a few positions at a time are multiplied; their sum is always float64.

    Example:
        >>> channel_products([torch.ones(1, 1, 2, 3), 2 * torch.ones(1, 1, 2, 3)])[0].tolist()
        [[6.0, 12.0], [12.0, 24.0]]
    """
    products = _products(dtype, cosine, classes, number_of_classes, *(_positions(f) for f in features))
    return products[:, 0] if classes is None else products


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
    student: Tensor, teacher: Tensor, classes: Tensor, cosine: bool = True
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """:func:`relation_distance` split by whether two positions are of the same class.

    The part within a class is the distance of the class's positions alone; the part between classes is the total less
    that, and the total needs no second pass: the products of the classes add up to it.

    Args:
        student: ``BC_sH[WD]``.
        teacher: ``BC_tH[WD]``, the same number N of positions.
        classes: ``BN`` class numbers 0 … K − 1, −1 where the position does not count.
        cosine: relations are cosines rather than scalar products.

    Returns:
        For every image the summed squares within classes and between classes, and the number of pairs in each: four
        tensors ``B`` in float64.

    Example:
        >>> f = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
        >>> [x.item() for x in class_relation_distance(f, torch.ones(1, 1, 1, 2), torch.tensor([[0, 1]]))]
        [0.0, 2.0, 2.0, 2.0]
    """
    channels, number = student.shape[1], max(1, int(classes.max()) + 1)
    counted = F.one_hot(classes.clamp_min(0), number).double() * (classes >= 0).unsqueeze(2)
    sizes = counted.sum(1)
    pairs_within = sizes.square().sum(1)
    pairs_between = sizes.sum(1).square() - pairs_within
    if student[0, 0].numel() <= max(channels, teacher.shape[1]):
        s, t = _vectors(student, cosine), _vectors(teacher, cosine)
        squares = (s.transpose(1, 2) @ s - t.transpose(1, 2) @ t).square()
        same = counted @ counted.transpose(1, 2)
        valid = counted.sum(2)
        within = (squares * same).sum((1, 2))
        between = (squares * (valid.unsqueeze(1) * valid.unsqueeze(2) - same)).sum((1, 2))
        return within, between, pairs_within, pairs_between
    products = channel_products([student, teacher], cosine, classes, number)
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
    lengths = products.diagonal(dim1=1, dim2=2).clamp_min(_EPSILON**2).sqrt()
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


def _positions(features: Tensor) -> Tensor:
    """``BCH[WD]`` as ``BCN`` without a copy, also where the channels lie innermost in memory."""
    if features.is_contiguous():
        return features.flatten(2)
    return features.movedim(1, -1).flatten(1, -2).transpose(1, 2)


def _vectors(features: Tensor, cosine: bool) -> Tensor:
    vectors = features.flatten(2).double()
    return F.normalize(vectors, dim=1, eps=_EPSILON) if cosine else vectors


@torch.compiler.disable
def _products(dtype: torch.dtype, cosine: bool, classes: Tensor | None, number: int, *features: Tensor) -> Tensor:
    return _ChannelProducts.apply(dtype, cosine, classes, number, *features)


class _ChannelProducts(torch.autograd.Function):
    """``X Xᵀ`` chunk by chunk; the gradient is ``(G + Gᵀ) X``, chunk by chunk."""

    @staticmethod
    def forward(
        ctx: Any, dtype: torch.dtype, cosine: bool, classes: Tensor | None, number: int, *features: Tensor
    ) -> Tensor:
        batch, positions, sizes = len(features[0]), features[0].shape[2], [f.shape[1] for f in features]
        channels = sum(sizes)
        result = features[0].new_zeros(batch, number, channels, channels, dtype=torch.float64)
        scales = [f.new_ones(batch, 1, positions, dtype=dtype) for f in features] if cosine else []
        # what is small enough is kept for the gradient, ready made; of larger features one chunk lives at a time
        keep = any(ctx.needs_input_grad[4:]) and dtype.itemsize * batch * channels * positions <= _KEPT_BYTES
        ctx.kept = []
        for chunk, stacked in _chunks(features, dtype, one_buffer=not keep):
            for part, scale in zip(_parts(stacked, sizes), scales, strict=False):
                length = torch.linalg.vecdot(part, part, dim=1).sqrt_().clamp_min_(_EPSILON)
                part.mul_(torch.reciprocal(length.unsqueeze(1), out=scale[:, :, chunk]))
            groups = [(0, None)] if classes is None else _classes_in(classes[:, chunk])
            for c, of_class in groups:
                first = 0
                for part in _parts(stacked if of_class is None else stacked * of_class, sizes):
                    last = first + part.shape[1]
                    # the product is symmetric: of each pair of features one block is enough
                    result[:, c, first:last, first:] += part @ stacked[:, first:].transpose(1, 2)
                    first = last
            if keep:
                ctx.kept.append((chunk, stacked))
        first = 0
        for size in sizes:
            last = first + size
            result[..., last:, first:last] = result[..., first:last, last:].transpose(2, 3)
            first = last
        ctx.dtype, ctx.classes, ctx.sizes = dtype, classes, sizes
        ctx.save_for_backward(*features, *scales)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        features, scales = ctx.saved_tensors[: len(ctx.sizes)], ctx.saved_tensors[len(ctx.sizes) :]
        gradient = (gradient + gradient.transpose(2, 3)).to(ctx.dtype)
        results = [
            torch.empty_like(f) if want else None for f, want in zip(features, ctx.needs_input_grad[4:], strict=True)
        ]
        for chunk, stacked in ctx.kept or _chunks(features, ctx.dtype, one_buffer=True):
            if not ctx.kept:
                for part, scale in zip(_parts(stacked, ctx.sizes), scales, strict=False):
                    part.mul_(scale[:, :, chunk])
            classes = [] if ctx.classes is None else list(_classes_in(ctx.classes[:, chunk]))
            first = 0
            for i, (size, result) in enumerate(zip(ctx.sizes, results, strict=True)):
                rows, first = slice(first, first + size), first + size
                if result is None:
                    continue
                if ctx.classes is None:
                    part = gradient[:, 0, rows] @ stacked
                else:
                    part = torch.zeros_like(stacked[:, rows])
                    for c, of_class in classes:
                        part.baddbmm_(gradient[:, c, rows], stacked * of_class)
                if scales:
                    own, scale = stacked[:, rows], scales[i][:, :, chunk]
                    part -= own * torch.linalg.vecdot(own, part, dim=1).unsqueeze(1)
                    part *= scale * (scale < 1 / _EPSILON)
                result[:, :, chunk] = part
        return None, None, None, None, *results


def _chunks(features: Sequence[Tensor], dtype: torch.dtype, one_buffer: bool) -> Iterator[tuple[slice, Tensor]]:
    """Slices over the positions, each with all features there above one another.

    With one buffer a chunk lives until the next is made.
    """
    batch, channels, positions = len(features[0]), sum(f.shape[1] for f in features), features[0].shape[2]
    step = max(64, _CHUNK_BYTES.get(features[0].device.type, 2**25) // (dtype.itemsize * batch * channels))
    buffer = features[0].new_empty(batch, channels, min(step, positions), dtype=dtype)
    for start in range(0, positions, step):
        chunk = slice(start, min(start + step, positions))
        stacked = (buffer if one_buffer else torch.empty_like(buffer))[:, :, : chunk.stop - start]
        for part, feature in zip(_parts(stacked, [f.shape[1] for f in features]), features, strict=True):
            part.copy_(feature[:, :, chunk])
        yield chunk, stacked


def _parts(stacked: Tensor, sizes: list[int]) -> tuple[Tensor, ...]:
    """What of the stacked features belongs to each of them."""
    return stacked.split(sizes, 1)


def _classes_in(classes: Tensor) -> Iterator[tuple[int, Tensor]]:
    """The classes that a chunk has, with their positions as ``B1N`` floats; neighbours tend to be of one class."""
    for c in classes.unique().tolist():
        if c >= 0:
            yield c, (classes == c).unsqueeze(1)
