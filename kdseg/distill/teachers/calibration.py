"""Temperature of a network: how sure it may be, from images that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from kdseg.losses.labels import Head, cross_entropy, masked_mean, one_hot_label

__all__ = ["Tempered", "best_temperature", "likelihood"]

WIDEST = (0.05, 20.0)
"""Between these a temperature is looked for."""

MOST_VOXELS = 200_000
"""Of one image: more tell one number no better."""


class Tempered(nn.Module):
    """A network whose logits are divided by a temperature: above 1 it becomes less sure, its classes stay the same.

    Args:
        network: gives logits.
        temperature: above 0.
    """

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, image: Tensor) -> Tensor:
        """Logits of an image batch ``BCH[WD]``."""
        return self.network(image) / self.temperature


def likelihood(pairs: Iterable[tuple[Tensor, Tensor]], temperature: float, head: Head) -> float:
    """Mean negative log-likelihood of labels over images, each counting once; voxels with the label 255 do not count.

    Args:
        pairs: logits ``1KN`` and label ``1?N`` of each image, as :func:`best_temperature` has them.
        temperature: that divides the logits.
        head: "softmax" or "sigmoid".
    """
    values = []
    for logits, label in pairs:
        truth, valid = one_hot_label(label, logits.shape[1], head)
        values.append(float(masked_mean(cross_entropy(logits / temperature, truth, head), valid)))
    return math.fsum(values) / len(values)


def best_temperature(pairs: Iterable[tuple[Tensor, Tensor]], head: Head) -> float:
    """The temperature at which the labels of held-out images are most likely.

    Args:
        pairs: logits ``1KH[WD]`` and label of each image; see :class:`kdseg.losses.DistillationLoss` for labels.
        head: "softmax" or "sigmoid".

    Example:
        >>> import torch
        >>> label = (torch.arange(100) < 75).float().reshape(1, 1, 100)  # three of four, and the network is sure
        >>> round(best_temperature([(torch.full((1, 1, 100), 5.0), label)], "sigmoid"), 2)  # 5 / log 3
        4.55
    """
    from scipy.optimize import minimize_scalar

    kept = [(_some(logits.float()), _some(label)) for logits, label in pairs]
    bounds = tuple(map(math.log, WIDEST))
    found: Any = minimize_scalar(
        lambda power: likelihood(kept, math.exp(power), head), bounds=bounds, method="bounded", options={"xatol": 1e-4}
    )
    return math.exp(float(found.x))


def _some(maps: Tensor) -> Tensor:
    flat = maps.detach().cpu().flatten(2)
    return flat[..., :: -(-flat.shape[2] // MOST_VOXELS)].contiguous()
