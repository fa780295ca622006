"""Whole-image inference: padded to what the network's poolings need, cropped back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from monai.inferers import Inferer
from torch import Tensor
from torch.nn import functional as F

__all__ = ["WholeImageInferer"]


class WholeImageInferer(Inferer):
    """One forward on the whole image, padded at its far edges by repetition of the border.

    Args:
        divisible: every side is padded to a multiple of this number of voxels.
        channels_are_frames: the channels of the input are frames of a sequence: each is segmented as an image of its
            own, and the channels of the result are the frames again (K·F for K classes). A single frame changes
            nothing.
        frames_at_once: how many frames go through the network together.

    Example:
        >>> WholeImageInferer(4)(torch.zeros(1, 1, 5, 7), torch.nn.Identity()).shape
        torch.Size([1, 1, 5, 7])
    """

    def __init__(self, divisible: int = 16, channels_are_frames: bool = False, frames_at_once: int = 8) -> None:
        super().__init__()
        self.divisible = divisible
        self.channels_are_frames = channels_are_frames
        self.frames_at_once = frames_at_once

    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
        """Logits of ``inputs`` ``BCH[WD]``, of the same spatial size."""
        if not self.channels_are_frames:
            return self._whole(inputs, network, *args, **kwargs)
        frames = inputs.reshape(-1, 1, *inputs.shape[2:])
        parts = [self._whole(part, network, *args, **kwargs) for part in frames.split(self.frames_at_once)]
        return torch.cat(parts).reshape(inputs.shape[0], -1, *inputs.shape[2:])

    def _whole(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
        size = inputs.shape[2:]
        pad = [(-side) % self.divisible for side in size]
        if any(pad):
            flat = [amount for side in reversed(pad) for amount in (0, side)]
            inputs = F.pad(inputs, flat, mode="replicate")
        logits = network(inputs, *args, **kwargs)
        return logits[(..., *(slice(0, side) for side in size))]
