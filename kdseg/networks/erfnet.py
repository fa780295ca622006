"""ERFNet, a student of Graph Flow: residual blocks of factorised convolutions."""

from __future__ import annotations

import torch
from torch import nn

from kdseg.networks.shapes import check_divisible

__all__ = ["ERFNet"]


class ERFNet(nn.Module):
    """Efficient residual factorised network: 2,062,872 parameters for 1 channel in, 2 out.

    Taps: ``enc2``, ``enc3``, ``enc4`` and ``dec3``, ``dec2`` are what each size ends with. Graph Flow's are ``down3``
    (the second downsampler, before the blocks of its size) and ``up3`` (the first upsampler, likewise): 64 channels at
    a quarter of the size; ``up2`` is the second.

    Source: Romera et al., IEEE T-ITS 2018, doi 10.1109/TITS.2017.2750080, the standard architecture. Two dimensions
    only.

    Args:
        in_channels: channels of the image.
        out_channels: channels of the logits.

    Shape:
        ``BNHW`` with sizes that are multiples of 8, to ``BKHW``.

    Raises:
        UserError: for an image whose sizes are not multiples of 8.

    Example:
        >>> sum(parameter.numel() for parameter in ERFNet(in_channels=1, out_channels=2).parameters())
        2062872
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 1) -> None:
        super().__init__()
        dilations = (2, 4, 8, 16)
        self.down = nn.ModuleList([Downsampler(in_channels, 16), Downsampler(16, 64), Downsampler(64, 128)])
        self.encoder = nn.ModuleList(
            [
                nn.Identity(),
                nn.Sequential(*(FactorisedBlock(64, dropout=0.03) for _ in range(5))),
                nn.Sequential(*(FactorisedBlock(128, dropout=0.3, dilation=size) for size in dilations * 2)),
            ]
        )
        self.up = nn.ModuleList([_upsampler(128, 64), _upsampler(64, 16)])
        self.decoder = nn.ModuleList(
            nn.Sequential(*(FactorisedBlock(channels) for _ in range(2))) for channels in (64, 16)
        )
        self.head = nn.ConvTranspose2d(16, out_channels, 2, stride=2)

    # TorchScript would compile the property
    __jit_unused_properties__ = ("taps",)

    @property
    def taps(self) -> dict[str, str]:
        """Semantic name of each tap to the path of its module; 1 would be full resolution."""
        return {
            "enc2": "down.0",
            "down3": "down.1",
            "enc3": "encoder.1",
            "enc4": "encoder.2",
            "up3": "up.0",
            "up2": "up.1",
            "dec3": "decoder.0",
            "dec2": "decoder.1",
        }

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if not torch.jit.is_scripting():
            check_divisible(self, image, 8)
        features = image
        for down, blocks in zip(self.down, self.encoder):  # noqa: B905  TorchScript's zip knows no strict
            features = blocks(down(features))
        for up, blocks in zip(self.up, self.decoder):  # noqa: B905  TorchScript's zip knows no strict
            features = blocks(up(features))
        return self.head(features)


class Downsampler(nn.Module):
    """Halve the size with a strided convolution and a pooling side by side."""

    ends_on = "activation"

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(in_channels, out_channels - in_channels, 3, stride=2, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.norm = nn.BatchNorm2d(out_channels, eps=1e-3)
        self.activation = nn.ReLU()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.activation(self.norm(torch.cat([self.convolution(features), self.pool(features)], dim=1)))


class FactorisedBlock(nn.Module):
    """Residual block of 3×1 and 1×3 convolutions, the second pair dilated (the paper's non-bottleneck-1D)."""

    ends_on = "activation"

    def __init__(self, channels: int, dropout: float = 0.0, dilation: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_factorised(channels, 1), nn.ReLU(True), *_factorised(channels, dilation), nn.Dropout2d(dropout)
        )
        self.activation = nn.ReLU()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.activation(self.body(features) + features)


def _factorised(channels: int, dilation: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, channels, (3, 1), padding=(dilation, 0), dilation=(dilation, 1)),
        nn.ReLU(True),
        nn.Conv2d(channels, channels, (1, 3), padding=(0, dilation), dilation=(1, dilation)),
        nn.BatchNorm2d(channels, eps=1e-3),
    ]


def _upsampler(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, padding=1, output_padding=1),
        nn.BatchNorm2d(out_channels, eps=1e-3),
        nn.ReLU(),
    )
