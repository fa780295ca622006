from __future__ import annotations

import torch
from torch import nn

from kdseg.inferers import WholeImageInferer
from kdseg.networks import UNet


def test_odd_sizes_are_padded_and_cropped_back() -> None:
    network = UNet(base_channels=2).eval()
    assert WholeImageInferer()(torch.randn(1, 1, 30, 37), network).shape == (1, 1, 30, 37)
    image = torch.randn(1, 1, 32, 48)
    assert torch.equal(WholeImageInferer()(image, network), network(image))


def test_volumes_work_too() -> None:
    network = UNet(spatial_dims=3, base_channels=2).eval()
    assert WholeImageInferer()(torch.randn(1, 1, 17, 16, 16), network).shape == (1, 1, 17, 16, 16)


def test_the_border_is_repeated_not_black() -> None:
    seen: list[torch.Tensor] = []

    class Spy(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            seen.append(image)
            return image

    WholeImageInferer(4)(torch.full((1, 1, 3, 3), 7.0), Spy())
    assert (seen[0] == 7).all() and seen[0].shape == (1, 1, 4, 4)
