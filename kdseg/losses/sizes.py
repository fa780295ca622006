"""Maps at other spatial sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "areas",
    "pooled",
    "resize",
]


def resize(features: Tensor, size: Sequence[int]) -> Tensor:
    """Linear resizing of ``BCH[WD]`` to the spatial ``size``; the same tensor where nothing changes.

    Example:
        >>> resize(torch.zeros(1, 2, 4, 4, 4), (2, 2, 2)).shape
        torch.Size([1, 2, 2, 2, 2])
    """
    if tuple(features.shape[2:]) == tuple(size):
        return features
    mode = {3: "linear", 4: "bilinear", 5: "trilinear"}[features.ndim]
    return F.interpolate(features, size=tuple(size), mode=mode, align_corners=False)


def areas(maps: Tensor, size: Sequence[int]) -> Tensor:
    """``BCH[WD]`` maps at another spatial size: the mean over what each position covers."""
    return maps if tuple(maps.shape[2:]) == tuple(size) else F.interpolate(maps, size=tuple(size), mode="area")


def pooled(tap: Tensor, positions: int) -> Tensor:
    """``BCH[WD]`` mean-pooled to ``positions`` positions at most.

    Example:
        >>> pooled(torch.zeros(1, 2, 8, 8), 20).shape
        torch.Size([1, 2, 4, 4])
    """
    factor = 1
    while math.prod(max(1, side // factor) for side in tap.shape[2:]) > positions:
        factor += 1
    return areas(tap, [max(1, side // factor) for side in tap.shape[2:]])
