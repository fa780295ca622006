"""How long a network takes for one image on this machine, in torch and in the runtimes that are installed."""

from __future__ import annotations

import copy
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn
from torch.utils.benchmark import Timer

from kdseg.errors import reason_of
from kdseg.runtime import open_session
from kdseg.runtime.exports import PACKAGES

__all__ = ["forwards", "interleaved_milliseconds", "milliseconds_per_image"]

logger = logging.getLogger(__name__)

Key = TypeVar("Key", bound=Hashable)
Forward = Callable[[], Any]


def milliseconds_per_image(
    network: nn.Module, shape: Sequence[int], device: torch.device | str = "cpu", repeats: int = 9
) -> float:
    """Median time of a forward in eval mode, in milliseconds.

    Args:
        network: any network.
        shape: of the input, ``BCH[WD]``, with B = 1 for the time of one image.
        device: where to measure.
        repeats: forwards that count, after two that do not.

    Example:
        >>> milliseconds_per_image(nn.Conv2d(1, 1, 1), (1, 1, 8, 8), repeats=3) > 0
        True
    """
    mode = network.training
    network = network.to(device).eval()
    names = {"network": network, "image": torch.randn(tuple(shape), device=device)}
    timer = Timer("network(image)", globals=names, num_threads=torch.get_num_threads())
    with torch.inference_mode():
        timer.timeit(2)
        times = [timer.timeit(1).mean for _ in range(repeats)]
    network.train(mode)
    return 1000 * statistics.median(times)


def forwards(network: nn.Module, shape: Sequence[int]) -> dict[str, Forward]:
    """One forward of the network on the CPU in each runtime that is installed, to be timed.

    ``eager`` is torch itself, channels innermost in memory; ``onnx`` is ONNX Runtime and ``openvino`` OpenVINO, both
    given the exported network. All have as many threads as torch. A network that cannot be exported is timed in torch
    alone, which the log says.

    Args:
        network: any network; it is put into eval mode.
        shape: of the input, ``BCH[WD]``.

    Example:
        >>> "eager" in forwards(nn.Conv2d(1, 1, 1), (1, 1, 8, 8))
        True
    """
    image = torch.randn(tuple(shape))
    found = {"eager": _eager(network.eval(), image)}
    runtimes = [name for name in ("onnx", "openvino") if find_spec(PACKAGES[name])]
    # torch's exporter needs it
    if not runtimes or not find_spec("onnxscript"):
        return found
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.onnx"
            _exported(network, image, path)
            sessions = {name: open_session(name, path, torch.get_num_threads()) for name in runtimes}
        found |= {name: partial(session, image.numpy()) for name, session in sessions.items()}
    except Exception as error:
        # what an exporter raises is as it likes; torch's own time is still of interest
        logger.warning(f"{type(network).__name__} is timed in torch alone: {reason_of(error)}")
    return found


def _eager(network: nn.Module, image: torch.Tensor) -> Forward:
    # a copy: how the network lies in memory is its owner's affair
    memory = torch.channels_last if image.ndim == 4 else torch.channels_last_3d
    network = copy.deepcopy(network).to(memory_format=memory)  # type: ignore[call-overload]
    image = image.to(memory_format=memory)

    def forward() -> Any:
        with torch.inference_mode():
            return network(image)

    return forward


def _exported(network: nn.Module, image: torch.Tensor, path: Path) -> None:
    """Write the network as an ONNX file, at the size of the image."""
    from kdseg.deploy.export.graph import quiet_exporter

    with quiet_exporter():
        torch.onnx.export(network, (image,), path, dynamo=True, external_data=False, verbose=False)


def interleaved_milliseconds(ways: Mapping[Key, Forward], repeats: int = 15) -> dict[Key, list[float]]:
    """The times of each, in milliseconds; they take turns, so that what else the machine does falls on all alike.

    Args:
        ways: what is timed, by name.
        repeats: turns that count, after two that do not.

    Example:
        >>> len(interleaved_milliseconds({"nothing": lambda: None}, repeats=3)["nothing"])
        3
    """
    times: dict[Key, list[float]] = {name: [] for name in ways}
    for turn in range(repeats + 2):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            if turn >= 2:
                times[name].append(1000 * (time.perf_counter() - started))
    return times
