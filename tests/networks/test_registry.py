"""Networks by name, their counts, and the command that lists them."""

from __future__ import annotations

import importlib.util
import json

import pytest
import torch
from monai.networks.nets import BasicUNet, UNet
from torch import nn

from kdseg.cli.main import main
from kdseg.errors import UserError
from kdseg.networks import NETWORKS, ThinUNet, build_network, count_conv_parameters, count_macs, count_parameters
from kdseg.networks.registry import NetworkEntry
from kdseg.plugins import Registry


def test_settings_come_before_the_defaults() -> None:
    network = build_network("monai_unet", 3, 2, 4, channels=(4, 8), strides=(2,))
    assert isinstance(network, UNet)
    assert network(torch.zeros(1, 2, 8, 8, 8)).shape == (1, 4, 8, 8, 8)


def test_a_dotted_path_is_given_what_its_constructor_has() -> None:
    network = build_network("monai.networks.nets.BasicUNet", 3, 2, 4, features=[4] * 6)
    assert isinstance(network, BasicUNet) and network.conv_0.conv_0.conv.in_channels == 2


@pytest.mark.parametrize("name", [name for name, entry in NETWORKS.items() if entry.needs is None])
def test_every_name_gives_logits_in_every_dimension_that_it_promises(name: str) -> None:
    for dims in NETWORKS[name].spatial_dims:
        network = build_network(name, dims, 2, 3).to("meta").eval()
        assert network(torch.zeros(1, 2, *[64] * dims, device="meta")).shape == (1, 3, *[64] * dims)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"name": "thin_unett"}, "did you mean 'thin_unet'?"),
        ({"name": "fanet", "spatial_dims": 3}, "choose one of unet, thin_unet"),
        ({"name": "enet", "spatial_dims": 4}, "spatial_dims to 2 or 3"),
        ({"name": "thin_unet", "base_chanels": 8}, "did you mean 'base_channels'?"),
        ({"name": "monai.networks.nets.UNet"}, "missing a required argument: 'channels'"),
        ({"name": "monai.networks.nets.BasicUNet", "feature": 8}, "did you mean 'features'?"),
        ({"name": "monai.networks.nets.BasicUnetto"}, "has no attribute 'BasicUnetto'"),
        ({"name": "no_such_package_here.Net"}, "No module named 'no_such_package_here'"),
        ({"name": "os.system", "command": "exit"}, "no network"),
    ],
)
def test_bad_names_and_settings_are_refused(arguments: dict, told: str) -> None:
    with pytest.raises(UserError) as caught:
        build_network(**arguments)
    assert told in str(caught.value)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    absent = {
        "odd": NetworkEntry(ThinUNet, "code", needs="no_such_package_here"),
        "thin": NetworkEntry(ThinUNet, "code"),
    }
    monkeypatch.setattr("kdseg.networks.registry.NETWORKS", Registry("network", "no.such.group", absent, lambda e: e))
    with pytest.raises(UserError, match="pip install no_such_package_here"):
        build_network("odd")
    assert main(["networks", "--json"]) == 0
    printed = capsys.readouterr()
    assert [row["name"] for row in json.loads(printed.out)] == ["thin"]
    assert "left out: network 'odd'" in printed.err


def test_parameters_are_counted_once_and_convolutions_apart() -> None:
    shared = nn.Conv2d(2, 2, 3)
    network = nn.Sequential(shared, nn.BatchNorm2d(2), shared, nn.Linear(3, 5))
    assert count_conv_parameters(network) == 2 * 2 * 9 + 2
    assert count_parameters(network) == 38 + 4 + 20


def test_macs_of_each_kind_of_layer() -> None:
    assert count_macs(nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), (2, 4, 8, 8)) == 2 * 16 * 6 * 2 * 9
    assert count_macs(nn.Conv3d(1, 2, 3), (1, 1, 4, 4, 4)) == 8 * 2 * 27
    # at the resolution of the output, not of the input
    assert count_macs(nn.ConvTranspose2d(3, 5, 2, stride=2), (1, 3, 4, 4)) == 64 * 3 * 5 * 4
    assert count_macs(nn.Linear(3, 5), (7, 3)) == 7 * 3 * 5
    assert count_macs(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(2), nn.MaxPool2d(2)), (1, 2, 4, 4)) == 0


def test_counting_leaves_the_network_as_it_was() -> None:
    network = ThinUNet()
    network.encoder[0].eval()
    modes = [module.training for module in network.modules()]
    count_macs(network, (1, 1, 16, 16))
    assert [module.training for module in network.modules()] == modes
    assert {parameter.device.type for parameter in network.parameters()} == {"cpu"}


def test_the_listing_has_every_network_and_the_published_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["networks", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    absent = {name for name, entry in NETWORKS.items() if entry.needs and not importlib.util.find_spec(entry.needs)}
    assert set(rows) == set(NETWORKS) - absent
    assert rows["fanet"]["conv_params"] == 38_249_668
    assert rows["mobile_unet"]["conv_params"] == 4_639_811
    assert rows["erfnet"]["params"] == 2_062_872
    assert rows["unet"]["params"] == 14_787_777
    assert rows["thin_unet"]["params"] == 58_557
    assert rows["projected_enet"]["params"] == 353_761
    assert rows["enet"]["spatial_dims"] == [2, 3]
    assert rows["enet"]["taps"]["enc3"] == "stage1"
    assert all(row["macs"] > 0 and row["taps"] for row in rows.values())


def test_the_table_names_sizes_and_taps(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["networks"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("fanet"))
    assert "38,249,668" in line
    assert "171.420" in line
    assert "up3" in line


def test_times_stand_beside_the_sizes(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = []

    def ways(network: nn.Module, shape: tuple[int, ...]) -> dict[str, object]:
        sizes.append(shape)
        return (
            {"eager": lambda: None} if isinstance(network, ThinUNet) else {"eager": lambda: None, "onnx": lambda: None}
        )

    monkeypatch.setattr("kdseg.deploy.forwards", ways)
    command = ["networks", "thin_unet", "folded_unet", "--latency", "--size", "64"]
    assert main(command) == 0
    head, *_ = capsys.readouterr().out.splitlines()
    assert sizes == [(1, 1, 64, 64)] * 2
    assert head.split()[-5:] == ["eager", "ms", "onnx", "ms", "taps"]
    assert main([*command, "--json"]) == 0
    thin, folded = json.loads(capsys.readouterr().out)
    assert set(thin["ms"]) == {"eager"} and set(folded["ms"]) == {"eager", "onnx"}
    assert thin["macs"] == count_macs(ThinUNet(), (1, 1, 64, 64))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["folded_unett"], "did you mean 'folded_unet'?"),
        (["--size", "100"], "for instance --size 96"),
        (["--size", "0"], "for instance --size 32"),
    ],
)
def test_a_listing_that_cannot_be_is_refused(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["networks", *words]) == 2
    assert told in capsys.readouterr().err
