"""How long a network takes for one image on this machine."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import torch
from torch import nn
from torch.utils.benchmark import Timer

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
    mode = network.training
    network = network.to(device).eval()
    names = {"network": network, "image": torch.randn(tuple(shape), device=device)}
    timer = Timer("network(image)", globals=names, num_threads=torch.get_num_threads())
    with torch.inference_mode():
        timer.timeit(2)
        times = [timer.timeit(1).mean for _ in range(repeats)]
    network.train(mode)
    return 1000 * statistics.median(times)
