"""FANet, the teacher of Graph Flow: a U-Net of selective-kernel residual blocks with strip pooling in its decoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from kdseg.networks.shapes import check_divisible, check_more_than_one

__all__ = ["FANet"]


class FANet(nn.Module):
    """Feature-attention U-Net with widths 64, 128, 256, 512: 38,249,668 parameters in convolutions for 1 in, 2 out.

    Taps: ``enc1…enc4`` and ``dec1…dec3`` are what each level ends with, ``up1…up3`` the outputs of the transposed
    convolutions, before the skip connection. ``up3`` is the teacher's deep tap in Graph Flow (its shallow one is
    ``enc3``; both have 256 channels at a quarter of the size).

    Source: JBHI 2020, doi 10.1109/JBHI.2020.3028180, as used by Graph Flow (arXiv 2203.08667). Layers, widths and
    counts are those of the published code, MACs to 0.1 %. What layers and counts do not tell is, in strip pooling, a
    reconstruction: reductions and fused paths end on ReLU, upsampling is bilinear, strips multiply without a sigmoid.

    Two dimensions only. Adaptive pooling to fixed grids makes an exported graph valid for the size it was exported at.

    Args:
        in_channels: channels of the image.
        out_channels: channels of the logits.

    Shape:
        ``BNHW`` with sizes that are multiples of 8, to ``BKHW``. In training mode B is at least 2, because the
        attention over kernels normalises one value per image.

    Raises:
        UserError: for an image whose sizes are not multiples of 8, and for a single image in training mode.

    Example:
        >>> from kdseg.networks.count import count_conv_parameters
        >>> count_conv_parameters(FANet(in_channels=1, out_channels=2))
        38249668
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 1) -> None:
        super().__init__()
        widths = [64, 128, 256, 512]
        into = [in_channels, *widths[:-1]]
        self.encoder = nn.ModuleList(_double(before, after) for before, after in zip(into, widths, strict=True))
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in (256, 128, 64))
        self.decoder = nn.ModuleList(_double(2 * width, width) for width in (256, 128, 64))
        self.strip = nn.ModuleList(
            [StripPooling(256, (3, 6)), StripPooling(128, (12, 18)), StripPooling(64, (3, 6), gated=True)]
        )
        self.dropout = nn.Dropout2d(0.5)
        self.head = nn.Conv2d(64, out_channels, 1)
        # the published network has this head too, before the last strip pooling, and does not use it: it is kept for
        # the published size, and frozen because no gradient would ever reach it
        self.unused_head = nn.Conv2d(64, out_channels, 1).requires_grad_(False)

    @property
    def taps(self) -> dict[str, str]:
        """Semantic name of each tap to the path of its module; 1 is full resolution."""
        encoder = {f"enc{level}": f"encoder.{level - 1}" for level in (1, 2, 3, 4)}
        decoder = {f"dec{level}": f"strip.{3 - level}" for level in (3, 2, 1)}
        up = {f"up{level}": f"up.{3 - level}" for level in (3, 2, 1)}
        return encoder | up | decoder

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        check_divisible(self, image, 8)
        check_more_than_one(self, image)
        features = image
        skips: list[torch.Tensor] = []
        for level, block in enumerate(self.encoder):
            features = block(self.pool(features) if level else features)
            skips.append(features)
        skips.pop()
        for up, block, strip in zip(self.up, self.decoder, self.strip, strict=True):
            features = strip(block(torch.cat([skips.pop(), up(features)], dim=1)))
        return self.head(self.dropout(features))


class SelectiveKernel(nn.Module):
    """Two convolutions, 5×5 and 3×3, mixed per channel by an attention over both (SKNet, CVPR 2019)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, size, padding=size // 2), nn.BatchNorm2d(channels), nn.ReLU(True)
            )
            for size in (5, 3)
        )
        half = channels // 2
        self.squeeze = nn.Sequential(nn.Conv2d(channels, half, 1), nn.BatchNorm2d(half), nn.ReLU(True))
        self.scores = nn.ModuleList(nn.Conv2d(half, channels, 1) for _ in range(2))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        branches = torch.stack([branch(features) for branch in self.branches])
        squeezed = self.squeeze(branches.sum(dim=0).mean(dim=(2, 3), keepdim=True))
        weights = torch.stack([score(squeezed) for score in self.scores]).softmax(dim=0)
        return (branches * weights).sum(dim=0)


class SelectiveKernelBlock(nn.Module):
    """Residual bottleneck: 1×1, selective kernel, 1×1, shortcut."""

    ends_on = "activation"

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _convolution(in_channels, out_channels, 1),
            nn.ReLU(True),
            SelectiveKernel(out_channels),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(True),
            _convolution(out_channels, out_channels, 1),
        )
        same = in_channels == out_channels
        self.shortcut = nn.Identity() if same else _convolution(in_channels, out_channels, 1)
        self.activation = nn.ReLU()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.activation(self.body(features) + self.shortcut(features))


class StripPooling(nn.Module):
    """Context from square grids and from whole rows and columns, added to the features (SPNet, CVPR 2020).

    The gated form, for full resolution, has half as wide pooled branches, joined by concatenation instead of a sum, and
    multiplies the features by the strips.
    """

    ends_on = "activation"

    def __init__(self, channels: int, grids: Sequence[int], gated: bool = False) -> None:
        super().__init__()
        self.grids, self.gated = tuple(grids), gated
        pooled, joined = (channels // 2, 2 * channels) if gated else (channels, channels)
        self.square_in = nn.Sequential(_convolution(channels, channels, 1), nn.ReLU(True))
        self.strip_in = nn.Sequential(_convolution(channels, channels, 1), nn.ReLU(True))
        self.full = _convolution(channels, channels, 3)
        self.pooled = nn.ModuleList(_convolution(channels, pooled, 3) for _ in grids)
        self.row = _convolution(channels, channels, (1, 3))
        self.column = _convolution(channels, channels, (3, 1))
        self.square_out = nn.Sequential(nn.ReLU(True), _convolution(joined, channels, 3), nn.ReLU(True))
        self.strip_out = nn.Sequential(nn.ReLU(True), _convolution(channels, channels, 3), nn.ReLU(True))
        self.fuse = _convolution(2 * channels, channels, 1)
        self.activation = nn.ReLU()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        size = features.shape[2:]
        square, strip = self.square_in(features), self.strip_in(features)
        branches = [self.full(square)]
        for grid, convolution in zip(self.grids, self.pooled, strict=True):
            branches.append(_resize(convolution(F.adaptive_avg_pool2d(square, grid)), size))
        square = self.square_out(torch.cat(branches, dim=1) if self.gated else torch.stack(branches).sum(dim=0))
        row = _resize(self.row(strip.mean(dim=2, keepdim=True)), size)
        column = _resize(self.column(strip.mean(dim=3, keepdim=True)), size)
        strip = self.strip_out(row + column)
        context = torch.cat([square, strip * features if self.gated else strip], dim=1)
        return self.activation(features + self.fuse(context))


def _double(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        SelectiveKernelBlock(in_channels, out_channels), SelectiveKernelBlock(out_channels, out_channels)
    )


def _convolution(in_channels: int, out_channels: int, size: int | tuple[int, int]) -> nn.Sequential:
    """Convolution without bias, and its normalisation."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, size, padding="same", bias=False), nn.BatchNorm2d(out_channels)
    )


def _resize(features: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    return F.interpolate(features, size=list(size), mode="bilinear", align_corners=False)
