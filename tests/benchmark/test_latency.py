"""The benchmark of latency: what it measures and what it refuses. The numbers themselves are for docs/deployment.md."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

import pytest

from kdseg.benchmark import latency as room
from kdseg.benchmark.latency import FORMATS, STUDENTS, benchmark_latency
from kdseg.cli.main import main
from kdseg.deploy.export import FORMATS as EXPORTED
from kdseg.errors import UserError
from kdseg.networks import NETWORKS, ThinUNet, build_network, count_macs, count_parameters
from tests.exports import Shallow

COLUMNS = ["network", "role", "format", "size", "threads", "params", "macs", "ms", "spread", "memory_mb"]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings of a run of seconds."""
    monkeypatch.setitem(NETWORKS._objects, "shallow", NETWORKS._read(Shallow))
    return {"size": 64, "rounds": 2, "teacher": {"name": "thin_unet", "base_channels": 4}}


def test_every_column_is_measured(small: dict[str, Any]) -> None:
    students = [{"name": "shallow"}]
    formats = ["eager", *(name for name in ("onnx", "openvino_int8") if not EXPORTED[name].missing())]
    small["teacher"] = {"name": "shallow"}
    rows = benchmark_latency(formats=formats, students=students, **small)
    assert [(row["role"], row["format"]) for row in rows] == [
        (role, name) for role in ("teacher", "student") for name in formats
    ]
    for row in rows:
        assert list(row) == [*COLUMNS, "frames_per_second"]
        assert (
            row["ms"] > 0 and row["spread"] >= 0 and row["frames_per_second"] == pytest.approx(1000 / row["ms"], 0.01)
        )
        assert row["network"] == "shallow" and (row["size"], row["threads"]) == (64, 1)


def test_sizes_are_those_of_the_networks(small: dict[str, Any]) -> None:
    teacher, student = benchmark_latency(formats=["eager"], students=[{"name": "shallow"}], **small)
    assert teacher["params"] == count_parameters(ThinUNet()) > student["params"]
    assert teacher["macs"] == count_macs(ThinUNet(), (1, 1, 64, 64))
    assert teacher["ms"] > student["ms"]


def test_students_are_in_one_list() -> None:
    named = {(one["name"], one["base_channels"]) for one in STUDENTS}
    assert {("thin_unet", 2), ("thin_unet", 4), ("unet", 8), ("folded_unet", 16)} <= named
    for one in STUDENTS:
        build_network(**one)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"formats": ["onx"]}, "did you mean 'onnx'"),
        ({"size": 100}, "multiple of 16"),
        ({"size": 0}, "multiple of 16"),
        ({"threads": 0}, "1 or more"),
    ],
)
def test_what_is_wrong_is_refused(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        benchmark_latency(**settings)


def test_what_is_not_installed_is_left_out_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "kdseg.deploy.export.formats.find_spec", lambda name: None if name == "openvino" else find_spec(name)
    )
    assert "openvino" not in room._chosen(None) and set(room._chosen(None)) <= set(FORMATS)
    with pytest.raises(UserError, match="no package openvino"):
        room._chosen(["openvino"])


def test_the_command_prints_rows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Any] = []
    row = {"network": "unet_64", "role": "teacher", "format": "eager", "ms": 1.5, "memory_mb": None}
    monkeypatch.setattr(room, "benchmark_latency", lambda *words: asked.append(words) or [row])
    assert main(["benchmark", "latency", "--size", "32", "--threads", "2", "--formats", "eager,onnx", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [row]
    assert main(["benchmark", "latency"]) == 0
    assert "unet_64" in capsys.readouterr().out
    assert asked == [(32, 2, ["eager", "onnx"]), (512, 1, None)]
