"""The discriminator of Graph Flow: SAGAN's, with spectral norm and self-attention (arXiv 1805.08318)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.layers.factories import Conv, Pool
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

__all__ = ["SAGANDiscriminator", "SelfAttention"]

SLOPE = 0.1
LAST_KERNEL = 4


class SAGANDiscriminator(nn.Module):
    """Spectral-norm 4×4 stride-2 convolutions to 64, 128, 256, 512 channels, self-attention after the last two of them.

    LeakyReLU 0.1 follows each convolution; a 4×4 convolution without padding ends in one channel of scores.

    Small crops: an axis is halved only while 4 positions are left for the last convolution, which needs them; an axis
    that may not be halved keeps its size in that stage (kernel 3), and there are no more stages when no axis may. 64
    positions or more a side give all four stages, 32 three, 16 two, 8 one. On less than 4 the last kernel shrinks to
    the map.

    Source: authors' code of Graph Flow; rules for small crops and large attention maps are ours.

    Args:
        spatial_dims: 2 or 3.
        in_channels: K, channels of the map that is judged.
        size: spatial size ``HW[D]`` of that map. Larger maps pass too, smaller ones may not.
        channels: width of each stage.
        attention: widths after which self-attention stands.

    Example:
        >>> SAGANDiscriminator(2, 1, (64, 64))(torch.zeros(2, 1, 64, 64)).shape
        torch.Size([2, 1, 1, 1])
        >>> SAGANDiscriminator(3, 2, (16, 16, 8))(torch.zeros(1, 2, 16, 16, 8)).shape
        torch.Size([1, 1, 1, 1, 1])
    """

    def __init__(
        self,
        spatial_dims: int,
        in_channels: int,
        size: Sequence[int],
        channels: Sequence[int] = (64, 128, 256, 512),
        attention: Sequence[int] = (256, 512),
    ) -> None:
        super().__init__()
        convolution, left, width = Conv[Conv.CONV, spatial_dims], list(size), in_channels
        layers: list[nn.Module] = []
        for wide in channels:
            halved = [axis // 2 >= LAST_KERNEL for axis in left]
            if not any(halved):
                break
            kernel, stride = tuple(4 if half else 3 for half in halved), tuple(2 if half else 1 for half in halved)
            layers += [spectral_norm(convolution(width, wide, kernel, stride, padding=1)), nn.LeakyReLU(SLOPE)]
            if wide in attention:
                layers.append(SelfAttention(spatial_dims, wide))
            left = [axis // 2 if half else axis for axis, half in zip(left, halved, strict=True)]
            width = wide
        layers.append(convolution(width, 1, tuple(min(LAST_KERNEL, axis) for axis in left)))
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """Scores ``B1H'[W'D']`` of a map ``BKH[WD]``."""
        return self.layers(image)


class SelfAttention(nn.Module):
    """``x + γ · values · softmax(keys · query)`` over all positions; γ is trained and starts at 0.

    Memory is positions × keys. Where there are more than ``most_keys`` positions, keys and values are max-pooled by 2
    until there are not (the SAGAN authors pool once, always): a 512² image needs a quarter of the full matrix at the
    first attention, and none of the published 256² is changed.

    Args:
        spatial_dims: 2 or 3.
        channels: C of the features, 8 or more.
        most_keys: positions that may be attended to.
    """

    def __init__(self, spatial_dims: int, channels: int, most_keys: int = 1024) -> None:
        super().__init__()
        convolution = Conv[Conv.CONV, spatial_dims]
        self.query = convolution(channels, channels // 8, 1)
        self.key = convolution(channels, channels // 8, 1)
        self.value = convolution(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))
        self.pool = Pool[Pool.MAX, spatial_dims](2, ceil_mode=True)
        self.most_keys = most_keys

    def forward(self, features: Tensor) -> Tensor:
        seen = features
        while seen[0, 0].numel() > self.most_keys:
            seen = self.pool(seen)
        query, key, value = (f.flatten(2) for f in (self.query(features), self.key(seen), self.value(seen)))
        # written out: the gradient penalty differentiates twice, which the fused attention cannot
        weights = F.softmax(query.transpose(1, 2) @ key, dim=-1)
        attended = value @ weights.transpose(1, 2)
        return features + self.gamma * attended.view_as(features)
