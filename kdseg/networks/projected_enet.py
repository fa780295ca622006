"""The other ENet of the papers, a student of EMKD and of adaptive affinity: pooled shortcuts pass a 1×1 convolution."""

from __future__ import annotations

import torch
from monai.networks.layers.factories import Conv, Dropout, Norm, Pool
from torch import nn

from kdseg.networks.enet import ENetLayout, InitialBlock, unpool

__all__ = ["ProjectedENet"]


class ProjectedENet(ENetLayout):
    """ENet with projected shortcuts: 353,761 parameters for 3 channels in, 2 out, in 2-D.

    It differs from ``ENet`` in that downsampling takes a quarter of its output's channels and a 1×1 convolution on its
    shortcut, 5×1 and 1×5 convolutions share one normalisation, no activation comes before a sum, the decoder has
    PReLU too, and the head is 2×2. Taps: as in ``ENet``.

    Source: arXiv 1606.02147 in the form of EMKD's published code (arXiv 2108.09987), whose forward leaves out one block
    of the third stage that it has built; here that block runs. The 3-D form is a reconstruction.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image, fewer than 16.
        out_channels: channels of the logits.

    Shape:
        ``BNHW[D]`` with sizes that are multiples of 8, to ``BKHW[D]``.

    Raises:
        UserError: for an image whose sizes are not multiples of 8.

    Example:
        >>> sum(parameter.numel() for parameter in ProjectedENet(in_channels=3, out_channels=2).parameters())
        353761
    """

    def __init__(self, spatial_dims: int = 2, in_channels: int = 1, out_channels: int = 1) -> None:
        super().__init__()
        dims = spatial_dims
        self.initial = InitialBlock(dims, in_channels, 16)
        self.down1 = Downsampling(dims, 16, 64)
        self.stage1 = nn.Sequential(*(Bottleneck(dims, 64) for _ in range(4)))
        self.down2 = Downsampling(dims, 64, 128)
        # dilation of each block of stages 2 and 3, which are alike; 0 marks the asymmetric ones
        self.stage2 = nn.Sequential(*(Bottleneck(dims, 128, dilation) for dilation in (1, 2, 0, 4, 1, 8, 0, 16) * 2))
        self.up4 = Upsampling(dims, 128, 64)
        self.stage4 = nn.Sequential(*(Bottleneck(dims, 64) for _ in range(2)))
        self.up5 = Upsampling(dims, 64, 16)
        self.stage5 = Bottleneck(dims, 16)
        self.head = Conv[Conv.CONVTRANS, dims](16, out_channels, 2, stride=2, bias=False)


class Bottleneck(nn.Module):
    """Residual block; the middle is a 3×3 convolution, dilated, or for ``dilation`` 0 a 5×1 and a 1×5."""

    def __init__(self, dims: int, channels: int, dilation: int = 1) -> None:
        super().__init__()
        convolution, inner = Conv[Conv.CONV, dims], channels // 4
        if dilation:
            middle = [convolution(inner, inner, 3, padding=dilation, dilation=dilation, bias=False)]
        else:
            sizes = [tuple(5 if axis == long else 1 for axis in range(dims)) for long in range(dims)]
            middle = [convolution(inner, inner, size, padding="same", bias=False) for size in sizes]
        self.body = _body(dims, channels, inner, channels, middle)
        self.activation = nn.PReLU()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.activation(features + self.body(features))


class Downsampling(nn.Module):
    """Bottleneck with stride; its shortcut is pooled, and the positions of the maxima are handed on."""

    def __init__(self, dims: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        inner = out_channels // 4
        middle = Conv[Conv.CONV, dims](inner, inner, 2, stride=2, bias=False)
        self.pool = Pool[Pool.MAX, dims](2, return_indices=True)
        self.shortcut = _projection(dims, in_channels, out_channels)
        self.body = _body(dims, in_channels, inner, out_channels, [middle])
        self.activation = nn.PReLU()

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pooled, maxima = self.pool(features)
        return self.activation(self.shortcut(pooled) + self.body(features)), maxima


class Upsampling(nn.Module):
    """Bottleneck with a transposed convolution; its shortcut goes back to where the maxima were."""

    def __init__(self, dims: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        inner = out_channels // 4
        middle = Conv[Conv.CONVTRANS, dims](inner, inner, 2, stride=2, bias=False)
        self.shortcut = _projection(dims, in_channels, out_channels)
        self.body = _body(dims, in_channels, inner, out_channels, [middle])
        self.activation = nn.PReLU()

    def forward(self, features: torch.Tensor, maxima: torch.Tensor) -> torch.Tensor:
        return self.activation(unpool(self.shortcut(features), maxima) + self.body(features))


def _projection(dims: int, in_channels: int, out_channels: int) -> nn.Sequential:
    convolution = Conv[Conv.CONV, dims](in_channels, out_channels, 1, bias=False)
    return nn.Sequential(convolution, Norm[Norm.BATCH, dims](out_channels))


def _body(dims: int, before: int, inner: int, after: int, middle: list[nn.Module]) -> nn.Sequential:
    """Reduce 1×1, the middle, expand 1×1."""
    return nn.Sequential(
        _projection(dims, before, inner),
        nn.PReLU(),
        *middle,
        Norm[Norm.BATCH, dims](inner),
        nn.PReLU(),
        _projection(dims, inner, after),
        Dropout[Dropout.DROPOUT, dims](0.1),
    )
