"""Checks of the input that networks share: what they cannot take is refused with the shape that would work."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from kdseg.errors import UserError

__all__ = ["check_divisible", "check_more_than_one"]


def check_divisible(network: nn.Module, image: torch.Tensor, factor: int | Sequence[int]) -> None:
    """Refuse an image batch whose spatial sizes are not multiples of ``factor``.

    Nothing is checked while the network is traced, compiled or exported: sizes may be symbols there, and a check on
    them would fix the exported graph to one size.

    Args:
        network: the network that asks, for its name and number of spatial dimensions.
        image: its input, ``BNHW[D]``.
        factor: what the network divides a size by; one number for each axis where they differ.

    Raises:
        UserError: with the shape received, the rule, and the nearest shape that works.

    Example:
        >>> check_divisible(nn.Identity(), torch.zeros(1, 1, 100, 96), 16)
        Traceback (most recent call last):
        kdseg.errors.UserError: Identity: found an image batch of shape 1×1×100×96; expected sizes that are multiples \
of 16. To mend it: pad or crop to 112×96, for example with MONAI's DivisiblePadd(k=16).
    """
    if _is_symbolic():
        return
    sizes: Sequence[int] = image.shape[2:]
    factors = [factor] * len(sizes) if isinstance(factor, int) else list(factor)
    if any(size % its for size, its in zip(sizes, factors, strict=True)):
        near = "×".join(str(-(-size // its) * its) for size, its in zip(sizes, factors, strict=True))
        one = len(set(factors)) == 1
        raise UserError(
            type(network).__name__,
            found=f"an image batch of shape {'×'.join(str(size) for size in image.shape)}",
            expected=f"sizes that are multiples of {factors[0] if one else '×'.join(map(str, factors))}",
            fix=f"pad or crop to {near}, for example with MONAI's DivisiblePadd(k={factors[0] if one else factors})",
        )


def check_more_than_one(network: nn.Module, image: torch.Tensor) -> None:
    """Refuse a single image in training mode, for networks that normalise one value per image over the batch.

    Like ``check_divisible`` it is silent while the network is traced, compiled or exported.

    Args:
        network: the network that asks.
        image: its input, ``BNHW[D]``.

    Raises:
        UserError: with what to do.

    Example:
        >>> check_more_than_one(nn.Identity(), torch.zeros(1, 1, 8, 8))
        Traceback (most recent call last):
        kdseg.errors.UserError: Identity: found a batch of one image in training mode; expected two images or more, to \
normalise over. To mend it: use a batch size of 2 or more, and drop_last=True in the data loader.
    """
    if _is_symbolic() or not network.training or image.shape[0] > 1:
        return
    raise UserError(
        type(network).__name__,
        found="a batch of one image in training mode",
        expected="two images or more, to normalise over",
        fix="use a batch size of 2 or more, and drop_last=True in the data loader",
    )


def _is_symbolic() -> bool:
    return torch.jit.is_tracing() or torch.compiler.is_compiling()
