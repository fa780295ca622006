"""Mobile U-Net, a student of Graph Flow: MobileNetV2 as the encoder of a U-Net of inverted residuals."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from kdseg.networks.shapes import check_divisible

__all__ = ["MobileUNet"]


class MobileUNet(nn.Module):
    """U-Net on MobileNetV2 of width 1.0: 4,639,811 parameters in convolutions for 1 channel in, 2 out.

    Taps: ``enc2…enc6`` (16, 24, 32, 96 and 1280 channels) and ``dec2…dec5`` (16, 24, 32, 96), ``up2…up5`` what
    the decoder joins to ``enc2…enc5``; nothing is computed at full resolution, the logits are enlarged twofold. Graph
    Flow's taps are ``enc3`` and ``dec3``. Inverted residuals end without an activation.

    Source: the student of Graph Flow (arXiv 2203.08667), layers, widths and counts as in the published code; the
    encoder is MobileNetV2 (arXiv 1801.04381), not pretrained. Two dimensions only.

    Args:
        in_channels: channels of the image.
        out_channels: channels of the logits.

    Shape:
        ``BNHW`` with sizes that are multiples of 32, to ``BKHW``.

    Raises:
        UserError: for an image whose sizes are not multiples of 32.

    Example:
        >>> from kdseg.networks.count import count_conv_parameters
        >>> count_conv_parameters(MobileUNet(in_channels=1, out_channels=2))
        4639811
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 1) -> None:
        super().__init__()
        # one list entry for each size: half, quarter, … as in MobileNetV2's table (expansion, channels, repeats)
        self.encoder = nn.ModuleList(
            [
                nn.Sequential(_convolution(in_channels, 32, 3, stride=2), *_stage(32, 1, 16, 1, stride=1)),
                nn.Sequential(*_stage(16, 6, 24, 2, stride=2)),
                nn.Sequential(*_stage(24, 6, 32, 3, stride=2)),
                nn.Sequential(*_stage(32, 6, 64, 4, stride=2), *_stage(64, 6, 96, 3, stride=1)),
                nn.Sequential(
                    *_stage(96, 6, 160, 3, stride=2), *_stage(160, 6, 320, 1, stride=1), _convolution(320, 1280, 1)
                ),
            ]
        )
        widths = [1280, 96, 32, 24, 16]
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(before, after, 4, stride=2, padding=1) for before, after in pairwise(widths)
        )
        self.decoder = nn.ModuleList(InvertedResidual(2 * width, width, 6) for width in widths[1:])
        self.head = nn.Sequential(nn.Conv2d(16, 3, 1), nn.Conv2d(3, out_channels, 1))

    # TorchScript would compile the property
    __jit_unused_properties__ = ("taps",)

    @property
    def taps(self) -> dict[str, str]:
        """Semantic name of each tap to the path of its module; 1 would be full resolution."""
        encoder = {f"enc{index + 2}": f"encoder.{index}" for index in range(5)}
        decoder = {f"dec{5 - index}": f"decoder.{index}" for index in range(4)}
        up = {f"up{5 - index}": f"up.{index}" for index in range(4)}
        return encoder | up | decoder

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if not torch.jit.is_scripting():
            check_divisible(self, image, 32)
        features = image
        skips: list[torch.Tensor] = []
        for stage in self.encoder:
            features = stage(features)
            skips.append(features)
        skips.pop()
        for up, block in zip(self.up, self.decoder):  # noqa: B905  TorchScript's zip knows no strict
            features = block(torch.cat([skips.pop(), up(features)], dim=1))
        return F.interpolate(self.head(features), scale_factor=2.0, mode="bilinear", align_corners=False)


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand 1×1, depthwise 3×3, project 1×1; added to its input where the shapes agree."""

    def __init__(self, in_channels: int, out_channels: int, expansion: int, stride: int = 1) -> None:
        super().__init__()
        hidden = in_channels * expansion
        expand = [_convolution(in_channels, hidden, 1)] if expansion > 1 else []
        self.body = nn.Sequential(
            *expand,
            _convolution(hidden, hidden, 3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + self.body(features) if self.residual else self.body(features)


def _stage(in_channels: int, expansion: int, channels: int, repeats: int, stride: int) -> list[nn.Module]:
    """Blocks of one row of MobileNetV2's table; the first has the stride."""
    first = InvertedResidual(in_channels, channels, expansion, stride)
    return [first, *(InvertedResidual(channels, channels, expansion) for _ in range(repeats - 1))]


def _convolution(in_channels: int, out_channels: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(inplace=True),
    )
