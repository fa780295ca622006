"""A model of another runtime in the network's place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["ModelNetwork"]


class ModelNetwork(nn.Module):
    """Calls a function of arrays where a network is wanted; without weights and gradients.

    Args:
        run: from images ``BCH[WD]`` to logits ``BKH[WD]``, both float32.

    Example:
        >>> ModelNetwork(lambda images: 2 * images)(torch.ones(1, 1, 2, 2)).sum().item()
        8.0
    """

    def __init__(self, run: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__()
        self.run = run

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self.run(images.detach().cpu().numpy())).to(images.device)
