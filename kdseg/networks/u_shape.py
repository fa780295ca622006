"""What the U-Nets have in common: the way down and up, and where their taps are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.networks.layers.factories import Pool
from torch import nn

from kdseg.networks.shapes import check_divisible

__all__ = ["UShape"]


class UShape(nn.Module):
    """An encoder whose levels are pooled in between, and a decoder that joins what comes up to each of them.

    Args:
        spatial_dims: 2 or 3.
        encoder, up, decoder: a module for each level, in the order in which the image meets them.
        head: from what the decoder leaves to the logits.
        multiples: of what each side of an image is a multiple.
        first_level: number of the first level's taps; 1 is full resolution.
    """

    # TorchScript would compile the property
    __jit_unused_properties__ = ("taps",)

    def __init__(
        self,
        spatial_dims: int,
        encoder: Sequence[nn.Module],
        up: Sequence[nn.Module],
        decoder: Sequence[nn.Module],
        head: nn.Module,
        multiples: Sequence[int],
        first_level: int = 1,
    ) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(encoder)
        self.pool = Pool[Pool.MAX, spatial_dims](2)
        self.up = nn.ModuleList(up)
        self.decoder = nn.ModuleList(decoder)
        self.head = head
        self.multiples = list(multiples)
        self.first_level = first_level

    @property
    def taps(self) -> dict[str, str]:
        """Semantic name of each tap to the path of its module; 1 is full resolution."""
        first, last = self.first_level, self.first_level + len(self.encoder) - 1
        encoder = {f"enc{first + index}": f"encoder.{index}" for index in range(len(self.encoder))}
        up = {f"up{last - 1 - index}": f"up.{index}" for index in range(len(self.up))}
        decoder = {f"dec{last - 1 - index}": f"decoder.{index}" for index in range(len(self.decoder))}
        return encoder | up | decoder

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if not torch.jit.is_scripting():
            check_divisible(self, image, self.multiples)
        features = image
        skips: list[torch.Tensor] = []
        for level, block in enumerate(self.encoder):
            features = block(self.pool(features) if level else features)
            skips.append(features)
        skips.pop()
        for up, block in zip(self.up, self.decoder):  # noqa: B905  TorchScript's zip knows no strict
            features = block(torch.cat([skips.pop(), up(features)], dim=1))
        return self.head(features)
