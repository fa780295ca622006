"""Our networks: the contract for each, and what each is published with."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F

from kdseg.errors import UserError
from kdseg.networks import (
    ENet,
    ERFNet,
    FANet,
    MobileUNet,
    ProjectedENet,
    SeparableUNet,
    ThinUNet,
    UNet,
    count_conv_parameters,
    count_macs,
    count_parameters,
)
from kdseg.networks.enet import unpool
from tests.networks.test_taps import record_taps
from tests.networks.tester import NetworkContract

U_NET_TAPS = {f"enc{level}" for level in range(1, 6)} | {
    f"{part}{level}" for part in ("up", "dec") for level in range(1, 5)
}


class TestUNet(NetworkContract):
    constructor, multiple_of, taps = UNet, 16, U_NET_TAPS
    settings: ClassVar = {"base_channels": 8}

    def test_published_size(self) -> None:
        assert count_parameters(UNet(2, 1, 1)) == 14_787_777

    def test_a_tap_is_taken_before_the_relu(self) -> None:
        network = self.build()
        paths = [path for tap, path in network.taps.items() if not tap.startswith("up")]
        assert len(paths) == 9 and all(isinstance(network.get_submodule(path), torch.nn.BatchNorm2d) for path in paths)

    def test_what_joins_an_encoder_level_is_as_wide_as_it(self) -> None:
        network, image = self.build(), self.image()
        features = record_taps(network, network.taps, image)
        assert all(features[f"up{level}"].shape == features[f"enc{level}"].shape for level in range(1, 5))


class TestThinUNet(NetworkContract):
    constructor, multiple_of, taps = ThinUNet, 16, U_NET_TAPS

    def test_published_size(self) -> None:
        assert count_parameters(ThinUNet(2, 1, 1)) == 58_557


class TestThinUNet3D(TestThinUNet):
    dims = 3
    settings: ClassVar = {"spatial_dims": 3}


class TestSeparableUNet(NetworkContract):
    constructor, multiple_of, taps = SeparableUNet, 16, U_NET_TAPS

    def test_smaller_than_the_whole_convolutions(self) -> None:
        assert count_parameters(SeparableUNet()) < count_parameters(UNet(base_channels=8)) / 4


class TestSeparableUNet3D(TestSeparableUNet):
    dims = 3
    settings: ClassVar = {"spatial_dims": 3}


class TestFANet(NetworkContract):
    constructor, multiple_of = FANet, 8
    taps: ClassVar = {"enc1", "enc2", "enc3", "enc4", "up3", "dec3", "dec2", "dec1"}

    def test_published_size(self) -> None:
        assert count_conv_parameters(FANet(1, 2)) == 38_249_668

    def test_published_macs(self) -> None:
        # their profiler also counts the biases and poolings: 0.08 %
        assert count_macs(FANet(1, 2), (1, 1, 256, 256)) == pytest.approx(171.556e9, rel=1e-3)

    def test_a_single_image_in_training_is_refused(self) -> None:
        with pytest.raises(UserError, match="batch of one image"):
            self.build().train()(self.image(batch=1))


class TestMobileUNet(NetworkContract):
    constructor, multiple_of = MobileUNet, 32
    taps: ClassVar = {"enc2", "enc3", "enc4", "enc5", "enc6", "dec5", "dec4", "dec3", "dec2"}

    def test_published_size(self) -> None:
        assert count_conv_parameters(MobileUNet(1, 2)) == 4_639_811

    def test_published_macs(self) -> None:
        assert count_macs(MobileUNet(1, 2), (1, 1, 256, 256)) == pytest.approx(1.492e9, rel=1e-3)


class TestENet(NetworkContract):
    constructor, multiple_of = ENet, 8
    taps: ClassVar = {"enc2", "enc3", "enc4", "dec3", "dec2"}

    def test_published_size(self) -> None:
        assert round(count_parameters(ENet(2, 1, 2)), -3) == 349_000


class TestENet3D(TestENet):
    dims = 3
    settings: ClassVar = {"spatial_dims": 3}
    # ENet has many small modules and takes seconds: the 2-D one stands for both
    test_compiles_in_one_graph = None


class TestProjectedENet(NetworkContract):
    constructor, multiple_of = ProjectedENet, 8
    taps: ClassVar = {"enc2", "enc3", "enc4", "dec3", "dec2"}

    def test_published_size(self) -> None:
        assert count_parameters(ProjectedENet(2, 3, 2)) == 353_761


class TestProjectedENet3D(TestProjectedENet):
    dims = 3
    settings: ClassVar = {"spatial_dims": 3}
    test_compiles_in_one_graph = None


class TestERFNet(NetworkContract):
    constructor, multiple_of = ERFNet, 8
    taps: ClassVar = {"enc2", "down3", "enc3", "enc4", "up3", "dec3", "dec2"}

    def test_published_size(self) -> None:
        assert count_parameters(ERFNet(1, 2)) == 2_062_872

    def test_published_macs(self) -> None:
        # their profiler also counts the biases and normalisations
        assert count_macs(ERFNet(1, 2), (1, 1, 256, 256)) == pytest.approx(3.681e9, rel=1e-2)


@pytest.mark.parametrize("dims", [2, 3])
def test_unpool_is_torchs_own(dims: int) -> None:
    pool, theirs = (F.max_pool2d, F.max_unpool2d) if dims == 2 else (F.max_pool3d, F.max_unpool3d)
    generator = torch.Generator().manual_seed(0)
    # few values, so that windows have ties; sizes that differ, so that axes cannot be mixed up
    image = torch.randint(0, 3, (2, 3, 8, 6, 4)[: dims + 2], generator=generator).float()
    pooled, maxima = pool(image, 2, return_indices=True)
    values = torch.randn(pooled.shape, generator=generator)
    assert torch.equal(unpool(values, maxima), theirs(values, maxima, 2))


def test_graph_flow_taps_have_the_published_channels() -> None:
    published = {
        FANet: {"enc3": 256, "up3": 256},
        MobileUNet: {"enc3": 24, "dec3": 24},
        ENet: {"enc3": 64, "dec3": 64},
        ERFNet: {"down3": 64, "up3": 64},
    }
    for constructor, channels in published.items():
        network = constructor(in_channels=1, out_channels=2)
        features = record_taps(network, {name: network.taps[name] for name in channels}, torch.zeros(1, 1, 64, 64))
        assert {name: its.shape[1] for name, its in features.items()} == channels
