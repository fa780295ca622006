"""Whole-image inference: padded to what the network's poolings need, cropped back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from monai.inferers import Inferer
from torch import Tensor
from torch.nn import functional as F

__all__ = ["WholeImageInferer"]


class WholeImageInferer(Inferer):
    """One forward on the whole image, padded at its far edges by repetition of the border.

    Args:
        divisible: every side is padded to a multiple of this number of voxels.

    Example:
        >>> import torch
        >>> WholeImageInferer(4)(torch.zeros(1, 1, 5, 7), torch.nn.Identity()).shape
        torch.Size([1, 1, 5, 7])
    """

    def __init__(self, divisible: int = 16) -> None:
        super().__init__()
        self.divisible = divisible

    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
        """Logits of ``inputs`` ``BCH[WD]``, of the same spatial size."""
        size = inputs.shape[2:]
        pad = [(-side) % self.divisible for side in size]
        if any(pad):
            flat = [amount for side in reversed(pad) for amount in (0, side)]
            inputs = F.pad(inputs, flat, mode="replicate")
        logits = network(inputs, *args, **kwargs)
        return logits[(..., *(slice(0, side) for side in size))]
