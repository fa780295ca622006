"""Tiles of which the centre is kept: nothing lost, nothing counted twice, and the same as one forward on the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from torch import nn

from kdseg.errors import UserError
from kdseg.inferers import TrustedCentreInferer


@pytest.mark.parametrize(
    ("size", "tile", "border"),
    [
        ((33, 50), 16, 4),
        ((16, 16), 16, 4),
        ((3, 5), 16, 6),
        ((1, 40), 12, 5),
        ((21, 8), (12, 10), (3, 1)),
        ((7, 9), 4, 0),
        ((9, 20, 13), 8, 2),
    ],
)
def test_identity_gives_the_image_back(size: tuple[int, ...], tile: int, border: int) -> None:
    image = torch.rand(2, 3, *size)
    assert torch.equal(TrustedCentreInferer(tile, border, sw_batch_size=3)(image, nn.Identity()), image)


def whole_reflected(image: torch.Tensor, network: nn.Module, border: int) -> torch.Tensor:
    """One forward on the image with a reflected border, which is cropped off the result."""
    edges = [(0, 0), (0, 0), *[(border, border)] * (image.ndim - 2)]
    logits = network(torch.from_numpy(np.pad(image.numpy(), edges, mode="reflect")))
    return logits[(..., *(slice(border, border + side) for side in image.shape[2:]))]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_network_that_sees_no_further_than_the_border(dimensions: int) -> None:
    torch.manual_seed(0)
    convolution = nn.Conv2d if dimensions == 2 else nn.Conv3d
    network = nn.Sequential(convolution(1, 4, 5), nn.ReLU(), convolution(4, 2, 3)).double()

    def same_size(image: torch.Tensor) -> torch.Tensor:
        return network(nn.functional.pad(image, [3] * 2 * dimensions))

    image = torch.rand(1, 1, *(19, 26, 11)[:dimensions]).double()
    tiled = TrustedCentreInferer(14, 3)(image, same_size)
    torch.testing.assert_close(tiled, whole_reflected(image, same_size, 3))
    assert not torch.allclose(tiled, same_size(image)), (
        "zeros at the image's edge are another thing than its reflection"
    )


def test_strides_fall_on_one_grid() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 2, stride=2), nn.ReLU(), nn.ConvTranspose2d(3, 2, 2, stride=2)).double()
    image = torch.rand(1, 1, 22, 30).double()
    torch.testing.assert_close(TrustedCentreInferer(12, 2)(image, network), whole_reflected(image, network, 2))


def test_the_edge_of_a_tile_is_never_used() -> None:
    def spoilt(tiles: torch.Tensor) -> torch.Tensor:
        result = torch.full_like(tiles, 1e6)
        result[..., 4:-4, 4:-4] = tiles[..., 4:-4, 4:-4]
        return result

    image = torch.rand(1, 1, 41, 57)
    assert torch.equal(TrustedCentreInferer(16, 4)(image, spoilt), image)


def test_tiles_in_the_network_are_as_many_as_asked() -> None:
    seen = []

    def network(tiles: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(tiles.shape))
        return tiles.repeat(1, 2, 1, 1)

    result = TrustedCentreInferer(16, 4, sw_batch_size=5)(torch.rand(1, 1, 64, 64), network)
    assert result.shape == (1, 2, 64, 64)
    # 8 by 8 centres: each pixel is predicted once
    assert {shape[1:] for shape in seen} == {(1, 16, 16)} and [shape[0] for shape in seen] == [5] * 12 + [4]


def test_meta_data_stay() -> None:
    image = MetaTensor(torch.rand(1, 1, 20, 20), affine=torch.diag(torch.tensor([0.5, 0.5, 1.0, 1.0])))
    result = TrustedCentreInferer(16, 4)(image, nn.Conv2d(1, 2, 1))
    assert isinstance(result, MetaTensor) and torch.equal(result.affine, image.affine)


def test_a_border_without_a_centre_is_refused() -> None:
    with pytest.raises(UserError, match="less than half of the tile"):
        TrustedCentreInferer(16, 8)
