"""One check that all networks with poolings share: image sizes they cannot halve often enough are refused by name."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from kdseg.errors import UserError

__all__ = ["check_divisible"]


def check_divisible(network: torch.nn.Module, image: torch.Tensor, factor: int) -> None:
    """Refuse an image batch whose spatial sizes are not multiples of ``factor``.

    Nothing is checked while the network is traced, compiled or exported: sizes may be symbols there, and a check on
    them would fix the exported graph to one size.

    Args:
        network: the network that asks, for its name and number of spatial dimensions.
        image: its input, ``BNHW[D]``.
        factor: how often the network divides a size, as a power of two.

    Raises:
        UserError: with the shape received, the rule, and the nearest shape that works.

    Example:
        >>> check_divisible(torch.nn.Identity(), torch.zeros(1, 1, 100, 96), 16)
        Traceback (most recent call last):
        kdseg.errors.UserError: Identity: found an image batch of shape 1×1×100×96; expected sizes that are multiples \
of 16. To mend it: pad or crop to 112×96, for example with MONAI's DivisiblePadd(k=16).
    """
    if torch.jit.is_tracing() or torch.compiler.is_compiling():
        return
    sizes: Sequence[int] = image.shape[2:]
    if any(size % factor for size in sizes):
        near = "×".join(str(-(-size // factor) * factor) for size in sizes)
        raise UserError(
            type(network).__name__,
            found=f"an image batch of shape {'×'.join(str(size) for size in image.shape)}",
            expected=f"sizes that are multiples of {factor}",
            fix=f"pad or crop to {near}, for example with MONAI's DivisiblePadd(k={factor})",
        )
