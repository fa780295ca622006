"""Forwards in every runtime that is installed, and times that take turns."""

from __future__ import annotations

import logging
from importlib.util import find_spec

import pytest
import torch
from torch import nn

from kdseg.deploy import forwards, interleaved_milliseconds
from kdseg.networks import FoldedUNet


def test_every_runtime_computes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    image = torch.randn(1, 1, 32, 48)
    monkeypatch.setattr(torch, "randn", lambda *_, **__: image)
    network = FoldedUNet(fold=4, base_channels=4).eval()
    with torch.no_grad():
        expected = network(image)
    found = forwards(network, image.shape)
    installed = {name for name, package in (("onnx", "onnxruntime"), ("openvino", "openvino")) if find_spec(package)}
    assert set(found) == {"eager", *(installed if find_spec("onnxscript") else ())}
    for forward in found.values():
        torch.testing.assert_close(torch.as_tensor(forward()), expected, rtol=1e-3, atol=1e-3)
    assert network.head.weight.is_contiguous(), "the network lies in memory as it did"


@pytest.mark.skipif(not find_spec("onnxscript") or not find_spec("onnxruntime"), reason="needs kdseg[onnx]")
def test_what_cannot_be_exported_is_timed_in_torch_alone(caplog: pytest.LogCaptureFixture) -> None:
    class Odd(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return image if image.sum().item() > 1 else -image

    with caplog.at_level(logging.WARNING, logger="kdseg"):
        assert list(forwards(Odd(), (1, 1, 8, 8))) == ["eager"]
    assert "Odd is timed in torch alone" in caplog.text


def test_they_take_turns() -> None:
    seen: list[str] = []
    times = interleaved_milliseconds({"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, repeats=3)
    assert seen == ["a", "b"] * 5
    assert {name: len(its) for name, its in times.items()} == {"a": 3, "b": 3}
