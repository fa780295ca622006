"""``F Fᵀ`` of features: every channel with every channel, a few positions at a time.

The products are summed in float64, in memory that does not grow with the image, and the gradient is worked out by hand.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["EPSILON", "channel_products"]

EPSILON = 1e-6
"""Vectors shorter than this have no direction: their cosine with anything is near 0, and they get no gradient."""

_CHUNK_BYTES = {"cpu": 2**20, "cuda": 2**25}
"""Size of a chunk: within a CPU's cache; on a GPU large enough to keep it busy."""

_KEPT_BYTES = 2**24
"""Features up to this size are kept from forward to backward; larger ones are made again."""


def channel_products(
    features: Sequence[Tensor],
    cosine: bool = False,
    membership: Tensor | None = None,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """``F Fᵀ`` of the stacked features, ``B × C × C`` in float64 with C the sum of the channels.

    Args:
        features: each ``BC_iH[WD]`` with the same B and number N of positions.
        cosine: first divide each feature vector by its length, position by position, each of the features on its own.
        membership: ``BKN``, the weight of each position in each of K classes; the result is then ``B × K × C × C``, one
            weighted product ``F diag(m) Fᵀ`` per class.
        dtype: in which a few positions at a time are multiplied; their sum is always float64.

    Example:
        >>> channel_products([torch.ones(1, 1, 2, 3), 2 * torch.ones(1, 1, 2, 3)])[0].tolist()
        [[6.0, 12.0], [12.0, 24.0]]
    """
    products = _products(dtype, cosine, membership, *(_positions(f) for f in features))
    return products[:, 0] if membership is None else products


def _positions(features: Tensor) -> Tensor:
    """``BCH[WD]`` as ``BCN`` without a copy, also where the channels lie innermost in memory."""
    if features.is_contiguous():
        return features.flatten(2)
    return features.movedim(1, -1).flatten(1, -2).transpose(1, 2)


@torch.compiler.disable
def _products(dtype: torch.dtype, cosine: bool, membership: Tensor | None, *features: Tensor) -> Tensor:
    return _ChannelProducts.apply(dtype, cosine, membership, *features)


class _ChannelProducts(torch.autograd.Function):
    """``X Xᵀ`` chunk by chunk; the gradient is ``(G + Gᵀ) X``, chunk by chunk."""

    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype, cosine: bool, membership: Tensor | None, *features: Tensor) -> Tensor:
        batch, positions, sizes = len(features[0]), features[0].shape[2], [f.shape[1] for f in features]
        channels, number = sum(sizes), 1 if membership is None else membership.shape[1]
        result = features[0].new_zeros(batch, number, channels, channels, dtype=torch.float64)
        scales = [f.new_ones(batch, 1, positions, dtype=dtype) for f in features] if cosine else []
        # what is small enough is kept for the gradient, ready made; of larger features one chunk lives at a time
        keep = any(ctx.needs_input_grad[3:]) and dtype.itemsize * batch * channels * positions <= _KEPT_BYTES
        ctx.kept = []
        for chunk, stacked in _chunks(features, dtype, one_buffer=not keep):
            for part, scale in zip(_parts(stacked, sizes), scales, strict=False):
                length = torch.linalg.vecdot(part, part, dim=1).sqrt_().clamp_min_(EPSILON)
                part.mul_(torch.reciprocal(length.unsqueeze(1), out=scale[:, :, chunk]))
            groups = [(0, None)] if membership is None else _classes_in(membership[:, :, chunk], dtype)
            for c, weights in groups:
                first = 0
                for part in _parts(stacked if weights is None else stacked * weights, sizes):
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
        ctx.dtype, ctx.membership, ctx.sizes = dtype, membership, sizes
        ctx.save_for_backward(*features, *scales)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        features, scales = ctx.saved_tensors[: len(ctx.sizes)], ctx.saved_tensors[len(ctx.sizes) :]
        gradient = (gradient + gradient.transpose(2, 3)).to(ctx.dtype)
        results = [
            torch.empty_like(f) if want else None for f, want in zip(features, ctx.needs_input_grad[3:], strict=True)
        ]
        for chunk, stacked in ctx.kept or _chunks(features, ctx.dtype, one_buffer=True):
            if not ctx.kept:
                for part, scale in zip(_parts(stacked, ctx.sizes), scales, strict=False):
                    part.mul_(scale[:, :, chunk])
            classes = [] if ctx.membership is None else list(_classes_in(ctx.membership[:, :, chunk], ctx.dtype))
            first = 0
            for i, (size, result) in enumerate(zip(ctx.sizes, results, strict=True)):
                rows, first = slice(first, first + size), first + size
                if result is None:
                    continue
                if ctx.membership is None:
                    part = gradient[:, 0, rows] @ stacked
                else:
                    part = torch.zeros_like(stacked[:, rows])
                    for c, weights in classes:
                        part.baddbmm_(gradient[:, c, rows], stacked * weights)
                if scales:
                    own, scale = stacked[:, rows], scales[i][:, :, chunk]
                    part -= own * torch.linalg.vecdot(own, part, dim=1).unsqueeze(1)
                    part *= scale * (scale < 1 / EPSILON)
                result[:, :, chunk] = part
        return None, None, None, *results


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


def _classes_in(membership: Tensor, dtype: torch.dtype) -> Iterator[tuple[int, Tensor]]:
    """The classes that a chunk has, with their weights ``B1N``; neighbours tend to be of one class."""
    for c in membership.amax((0, 2)).nonzero().flatten().tolist():
        yield c, membership[:, c].unsqueeze(1).to(dtype)
