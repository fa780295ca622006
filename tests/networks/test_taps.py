"""Every tap that the tables name is found in a real forward pass, with the size that its number promises."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest
import torch
from monai.networks import nets
from monai.networks.nets.unet import CheckpointUNet
from torch import nn

from kdseg.distill import TapRecorder
from kdseg.networks import ThinUNet, find_taps
from kdseg.networks.taps import before_activation


def record_taps(network: nn.Module, taps: dict[str, str], image: torch.Tensor) -> dict[str, torch.Tensor]:
    """Run the network once and keep what each tap gives."""
    seen: dict[str, list[torch.Tensor]] = {name: [] for name in taps}
    hooks = []
    for name, path in taps.items():
        module = network.get_submodule(path.removesuffix(":in"))
        if path.endswith(":in"):
            hooks.append(module.register_forward_pre_hook(lambda _, inputs, name=name: seen[name].append(inputs[0])))
        else:
            hooks.append(module.register_forward_hook(lambda _, __, output, name=name: seen[name].append(output)))
    network.eval()(image)
    for hook in hooks:
        hook.remove()
    assert {name: len(values) for name, values in seen.items()} == dict.fromkeys(taps, 1), "a tap runs once a forward"
    return {name: values[0] for name, values in seen.items()}


def assert_sizes(taps: dict[str, torch.Tensor], image: torch.Tensor) -> None:
    """The number of a tap tells its size: level l has image size / 2^(l-1)."""
    for name, features in taps.items():
        reduced = 2 ** (int(name.lstrip("encdowup")) - 1)
        assert features.ndim == image.ndim, name
        assert [*features.shape[2:]] == [size // reduced for size in image.shape[2:]], name


def assert_before_activation(network: nn.Module, image: torch.Tensor) -> dict[str, str]:
    """Where a tap has an activation before it, its value for what was seen there is the tap. Those taps."""
    found = {tap: before_activation(network, path) for tap, path in find_taps(network).items()}
    found = {tap: path for tap, path in found.items() if path != find_taps(network)[tap]}
    recorder = TapRecorder(network.eval(), [*found, *(f"{tap}:pre" for tap in found)])
    with torch.no_grad():
        _, taps = recorder(image)
        for tap, path in found.items():
            activation = network.get_submodule(path.removesuffix(":in"))
            assert torch.equal(activation(taps[f"{tap}:pre"].clone()), taps[tap]), tap
    recorder.remove()
    return found


def levels(encoder: range, decoder: range) -> set[str]:
    return {f"enc{level}" for level in encoder} | {f"dec{level}" for level in decoder}


FOUR = levels(range(1, 5), range(1, 4))
FIVE = levels(range(1, 6), range(1, 5))
SIX = levels(range(1, 7), range(1, 6))
SHALLOW = {"enc1", "enc2", "dec1"}

# name: network for a number of spatial dimensions, image size, the taps that it must have
MONAI_NETWORKS: dict[str, tuple[Callable[[int], nn.Module], int, set[str]]] = {
    "UNet": (
        lambda dims: nets.UNet(dims, 1, 2, (4, 8, 8, 8), (2, 2, 2)),
        16,
        levels(range(2, 5), range(2, 4)),
    ),
    "UNet, residual": (lambda dims: nets.UNet(dims, 1, 2, (4, 8), (2,), num_res_units=1), 8, {"enc2"}),
    "UNet, first stride 1": (lambda dims: nets.UNet(dims, 1, 2, (4, 8, 8), (1, 2)), 8, SHALLOW),
    "UNet, middle stride 1": (
        lambda dims: nets.UNet(dims, 1, 2, (4, 6, 8, 8), (2, 1, 2)),
        8,
        {"enc2", "enc3", "dec2"},
    ),
    "UNet, a stride too many": (lambda dims: nets.UNet(dims, 1, 2, (4, 8, 8), (1, 2, 2)), 8, SHALLOW),
    "BasicUNet": (lambda dims: nets.BasicUNet(dims, 1, 2, (4, 4, 4, 4, 4, 4)), 32, FIVE),
    "DynUNet": (
        lambda dims: nets.DynUNet(dims, 1, 2, [3] * 4, [1, 2, 2, 2], [2] * 3, [4] * 4, deep_supervision=True),
        32,
        FOUR,
    ),
    "SegResNet": (lambda dims: nets.SegResNet(dims, 8), 16, FOUR),
    "SegResNet, shallow": (lambda dims: nets.SegResNet(dims, 8, blocks_down=(1, 1), blocks_up=(1,)), 8, SHALLOW),
    "AttentionUnet": (lambda dims: nets.AttentionUnet(dims, 1, 2, (4, 4, 4, 4), (2, 2, 2)), 16, FOUR),
    "AttentionUnet, shallow": (lambda dims: nets.AttentionUnet(dims, 1, 2, (4, 4), (2,)), 8, SHALLOW),
    "FlexibleUNet, EfficientNet": (
        lambda dims: nets.FlexibleUNet(1, 2, "efficientnet-b0", spatial_dims=dims),
        32,
        SIX - {"enc1"},
    ),
    "FlexibleUNet, ResNet": (
        lambda dims: nets.FlexibleUNet(1, 2, "resnet10", spatial_dims=dims),
        32,
        SIX - {"enc1"},
    ),
    "SwinUNETR": (
        lambda dims: nets.SwinUNETR(1, 2, feature_size=12, depths=(1, 1, 1, 1), spatial_dims=dims),
        32,
        SIX,
    ),
    "UNETR": (
        lambda dims: nets.UNETR(
            1, 2, (64, 32, 32)[:dims], feature_size=4, hidden_size=12, mlp_dim=12, num_heads=2, spatial_dims=dims
        ),
        32,
        FIVE,
    ),
    "MedNeXt": (lambda dims: nets.MedNeXt(dims, 4), 32, FIVE),
    "MedNeXt, shallow": (
        lambda dims: nets.MedNeXt(dims, 4, blocks_down=(1, 1), blocks_up=(1, 1)),
        8,
        levels(range(1, 4), range(1, 3)),
    ),
}


@pytest.mark.parametrize("name", MONAI_NETWORKS)
@pytest.mark.parametrize("dims", [2, 3])
def test_monai_taps_have_the_size_that_their_number_tells(name: str, dims: int) -> None:
    if "UNETR" in name:
        pytest.importorskip("einops", reason="MONAI's transformers need einops")
    build, size, expected = MONAI_NETWORKS[name]
    network = build(dims)
    taps = find_taps(network)
    assert set(taps) == expected
    image = torch.rand(1, 1, 2 * size, *[size] * (dims - 1))
    assert_sizes(record_taps(network, taps, image), image)
    found = assert_before_activation(network, image)
    ends_on_a_sum = "residual" in name or name.startswith(("SegResNet", "MedNeXt"))
    assert bool(found) != ends_on_a_sum


def test_anisotropic_levels_follow_the_most_reduced_axis() -> None:
    network = nets.DynUNet(3, 1, 1, [3] * 4, [1, [2, 2, 1], 2, 2], [[2, 2, 1], 2, 2], [4] * 4)
    features = record_taps(network, find_taps(network), torch.zeros(1, 1, 32, 32, 16))
    assert features["enc2"].shape[2:] == features["dec2"].shape[2:] == (16, 16, 16)
    assert features["enc4"].shape[2:] == (4, 4, 4)


def test_a_networks_own_word_comes_first() -> None:
    class Mine(nets.BasicUNet):
        taps: ClassVar = {"enc1": "conv_0"}

    assert find_taps(Mine(2, 1, 1, (4,) * 6)) == {"enc1": "conv_0"}
    assert find_taps(ThinUNet()) == ThinUNet().taps


def test_unknown_networks_have_no_taps() -> None:
    assert find_taps(nn.Conv2d(1, 1, 1)) == {}
    # a subclass that wraps its modules: paths of the table would point nowhere
    assert find_taps(CheckpointUNet(2, 1, 1, (4, 8, 8), (2, 2))) == {}
