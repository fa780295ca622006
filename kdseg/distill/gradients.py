"""How hard each part of a loss pulls at the student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

__all__ = ["gradient_norms"]


def gradient_norms(
    parts: Mapping[str, Tensor], parameters: Sequence[Tensor], scale: float = 1.0
) -> dict[str, float] | None:
    """The length of each part's gradient on the parameters, of the mean gradient where several processes train.

    The graph stays for the backward pass that follows. One backward pass for each part: meant for a step now and then.

    Args:
        parts: scalars of one forward pass, by name.
        parameters: for instance those of the student.
        scale: factor on all of them, which keeps half precision from rounding to zero.

    Returns:
        Name → length; None where one is no finite number.

    Example:
        >>> weight = torch.ones(2, requires_grad=True)
        >>> gradient_norms({"a": weight.sum(), "b": 3 * weight[0]}, [weight])
        {'a': 1.4142135381698608, 'b': 3.0}
    """
    norms = []
    for part in parts.values():
        gradients: tuple[Tensor | None, ...] = (None,) * len(parameters)
        if part.requires_grad:
            gradients = torch.autograd.grad(scale * part, parameters, retain_graph=True, allow_unused=True)
        flat = [
            torch.zeros_like(p).flatten() if g is None else g.flatten()
            for g, p in zip(gradients, parameters, strict=True)
        ]
        gradient = torch.cat(flat).float()
        if torch.distributed.is_initialized():
            torch.distributed.all_reduce(gradient)
            gradient /= torch.distributed.get_world_size()
        norms.append(gradient.norm() / scale)
    found = torch.stack(norms)
    return dict(zip(parts, found.tolist(), strict=True)) if found.isfinite().all() else None
