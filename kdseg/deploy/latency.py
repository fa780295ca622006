"""How long a network takes for one image on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import torch
from torch import nn

__all__ = ["milliseconds_per_image"]


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
    device = torch.device(device)
    mode = network.training
    network = network.to(device).eval()
    image = torch.randn(tuple(shape), device=device)
    times = []
    with torch.inference_mode():
        for _ in range(repeats + 2):
            _wait(device)
            start = time.perf_counter()
            network(image)
            _wait(device)
            times.append(time.perf_counter() - start)
    network.train(mode)
    return 1000 * statistics.median(times[2:])


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
