"""Our networks: the contract for each, and what each is published with."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F

from kdseg.errors import UserError
from kdseg.networks import (
    ENet,
    ERFNet,
    FANet,
    FoldedUNet,
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
    activated: ClassVar = {tap for tap in U_NET_TAPS if not tap.startswith("up")}

    def test_published_size(self) -> None:
        assert count_parameters(UNet(2, 1, 1)) == 14_787_777

    def test_what_joins_an_encoder_level_is_as_wide_as_it(self) -> None:
        network, image = self.build(), self.image()
        features = record_taps(network, network.taps, image)
        assert all(features[f"up{level}"].shape == features[f"enc{level}"].shape for level in range(1, 5))


class TestThinUNet(NetworkContract):
    constructor, multiple_of, taps = ThinUNet, 16, U_NET_TAPS
    activated: ClassVar = TestUNet.activated

    def test_published_size(self) -> None:
        assert count_parameters(ThinUNet(2, 1, 1)) == 58_557


class TestThinUNet3D(TestThinUNet):
    dims = 3
    settings: ClassVar = {"spatial_dims": 3}


class TestSeparableUNet(NetworkContract):
    constructor, multiple_of, taps = SeparableUNet, 16, U_NET_TAPS
    activated: ClassVar = TestUNet.activated

    def test_smaller_than_the_whole_convolutions(self) -> None:
        assert count_parameters(SeparableUNet()) < count_parameters(UNet(base_channels=8)) / 4


class TestSeparableUNet3D(TestSeparableUNet):
    dims = 3
    settings: ClassVar = {"spatial_dims": 3}


class TestFANet(NetworkContract):
    constructor, multiple_of = FANet, 8
    taps: ClassVar = {"enc1", "enc2", "enc3", "enc4", "up3", "up2", "up1", "dec3", "dec2", "dec1"}
    activated: ClassVar = {"enc1", "enc2", "enc3", "enc4", "dec3", "dec2", "dec1"}
    test_scripts = None

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
    taps: ClassVar = {
        "enc2",
        "enc3",
        "enc4",
        "enc5",
        "enc6",
        "dec5",
        "dec4",
        "dec3",
        "dec2",
        "up5",
        "up4",
        "up3",
        "up2",
    }
    activated: ClassVar = {"enc6"}

    def test_published_size(self) -> None:
        assert count_conv_parameters(MobileUNet(1, 2)) == 4_639_811

    def test_published_macs(self) -> None:
        assert count_macs(MobileUNet(1, 2), (1, 1, 256, 256)) == pytest.approx(1.492e9, rel=1e-3)


class TestENet(NetworkContract):
    constructor, multiple_of = ENet, 8
    taps: ClassVar = {"enc2", "enc3", "enc4", "up3", "up2", "dec3", "dec2"}
    activated: ClassVar = {"enc2", "enc3", "enc4", "dec3", "dec2"}
    test_scripts = None

    def test_published_size(self) -> None:
        assert round(count_parameters(ENet(2, 1, 2)), -3) == 349_000


class TestENet3D(TestENet):
    dims = 3
    settings: ClassVar = {"spatial_dims": 3}
    # ENet has many small modules and takes seconds: the 2-D one stands for both
    test_compiles_in_one_graph = None


class TestProjectedENet(NetworkContract):
    constructor, multiple_of = ProjectedENet, 8
    taps: ClassVar = {"enc2", "enc3", "enc4", "up3", "up2", "dec3", "dec2"}
    activated: ClassVar = TestENet.activated
    test_scripts = None

    def test_published_size(self) -> None:
        assert count_parameters(ProjectedENet(2, 3, 2)) == 353_761


class TestProjectedENet3D(TestProjectedENet):
    dims = 3
    settings: ClassVar = {"spatial_dims": 3}
    test_compiles_in_one_graph = None


class TestERFNet(NetworkContract):
    constructor, multiple_of = ERFNet, 8
    taps: ClassVar = {"enc2", "down3", "enc3", "enc4", "up3", "up2", "dec3", "dec2"}
    activated: ClassVar = {"enc2", "enc3", "enc4", "dec3", "dec2"}

    def test_published_size(self) -> None:
        assert count_parameters(ERFNet(1, 2)) == 2_062_872

    def test_published_macs(self) -> None:
        # their profiler also counts the biases and normalisations
        assert count_macs(ERFNet(1, 2), (1, 1, 256, 256)) == pytest.approx(3.681e9, rel=1e-2)


class TestFoldedUNet(NetworkContract):
    constructor, multiple_of = FoldedUNet, 16
    taps: ClassVar = {"enc2", "enc3", "enc4", "enc5", "up4", "up3", "up2", "dec4", "dec3", "dec2"}
    activated: ClassVar = {"enc2", "enc3", "enc4", "enc5", "dec4", "dec3", "dec2"}

    def test_what_joins_an_encoder_level_is_as_wide_as_it(self) -> None:
        network, image = self.build(), self.image()
        features = record_taps(network, network.taps, image)
        joined = [tap for tap in features if tap.startswith("up")]
        assert joined and all(features[tap].shape == features[tap.replace("up", "enc")].shape for tap in joined)


class TestFoldedUNetByFour(TestFoldedUNet):
    settings: ClassVar = {"fold": 4, "base_channels": 4}
    taps: ClassVar = {"enc3", "enc4", "enc5", "up4", "up3", "dec4", "dec3"}
    activated: ClassVar = {"enc3", "enc4", "enc5", "dec4", "dec3"}


class TestUnfoldedUNet(TestFoldedUNet):
    settings: ClassVar = {"fold": 1, "base_channels": 4}
    taps, activated = U_NET_TAPS, TestUNet.activated


class TestFoldedUNet3D(TestFoldedUNet):
    dims = 3
    settings: ClassVar = {"spatial_dims": 3, "base_channels": 4}


def test_the_ends_of_a_folded_network_fold_and_unfold() -> None:
    torch.manual_seed(0)
    network, image = FoldedUNet(out_channels=2, fold=4), torch.randn(1, 1, 32, 48)
    first, last = network.encoder[0].conv1, network.head
    # kernel 12 by stride 4 is 3×3 over blocks of 4×4 pixels, each a channel
    weight = F.pixel_unshuffle(first.weight, 4)
    torch.testing.assert_close(first(image), F.conv2d(F.pixel_unshuffle(image, 4), weight, padding=1))
    features = torch.randn(1, 8, 8, 12)
    weight = last.weight.flatten(1).T[..., None, None]
    blocks = F.pixel_shuffle(F.conv2d(features, weight, last.bias.repeat_interleave(16)), 4)
    torch.testing.assert_close(last(features), blocks)


def test_a_folded_network_goes_to_onnx_with_free_sizes(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="needs kdseg[onnx]")
    runtime = pytest.importorskip("onnxruntime", reason="needs kdseg[onnx]")
    torch.manual_seed(0)
    network, path = FoldedUNet(fold=4, base_channels=4).eval(), tmp_path / "network.onnx"
    free = {0: torch.export.Dim("batch"), 2: 16 * torch.export.Dim("height"), 3: 16 * torch.export.Dim("width")}
    torch.onnx.export(network, (torch.randn(2, 1, 32, 48),), path, dynamo=True, dynamic_shapes=(free,), verbose=False)
    session = runtime.InferenceSession(str(path))
    for shape in ((1, 1, 64, 32), (3, 1, 48, 80)):
        image = torch.randn(shape)
        (logits,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(logits), network(image), rtol=1e-4, atol=1e-5)


def test_a_fold_for_each_axis() -> None:
    network = FoldedUNet(3, out_channels=2, fold=(4, 4, 1), base_channels=4)
    features = record_taps(network, network.taps, torch.zeros(1, 1, 32, 16, 8))
    assert features["enc3"].shape == features["dec3"].shape == (1, 4, 8, 4, 8)
    assert features["enc5"].shape[2:] == (2, 1, 2)
    with pytest.raises(UserError, match=r"multiples of 16×16×4.*DivisiblePadd\(k=\[16, 16, 4\]\)"):
        network(torch.zeros(1, 1, 32, 16, 6))


@pytest.mark.parametrize(
    "settings",
    [{"fold": 3}, {"fold": 0}, {"fold": (2, 2)}, {"levels": 0}],
)
def test_a_fold_that_cannot_be_is_refused(settings: dict) -> None:
    with pytest.raises(UserError):
        FoldedUNet(3, **settings)


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
