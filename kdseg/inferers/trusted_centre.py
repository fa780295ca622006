"""Overlapping tiles of which the trusted centre alone is kept, on an image that is continued by its reflection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from monai.inferers import SlidingWindowInferer
from monai.utils import convert_to_dst_type, convert_to_tensor, ensure_tuple_rep
from torch import Tensor

from kdseg.errors import UserError

__all__ = ["TrustedCentreInferer"]


class TrustedCentreInferer(SlidingWindowInferer):
    """MONAI's sliding window, with the outer ``border`` of every tile's result thrown away.

    A network sees less and less context towards the edge of a tile. Here each pixel of the result comes from exactly
    one tile, at least ``border`` pixels away from that tile's edge; at the image's own edge the tile goes on into the
    reflected image. Where the network's receptive field reaches no further than ``border`` and its strides divide
    ``border`` and the centre, the result is that of the whole reflected image in one forward. Only ``sw_batch_size``
    tiles are in the network at a time, whatever the size of the image.

    The tile positions, the network calls and the putting together are MONAI's; what it lacks is the reflection where
    the image is not smaller than a tile, and weights that are zero outside of the centre.

    Source: the prediction of Graph Flow on pathology fields (its published code): tiles of 256, border 96, reflection.

    Args:
        roi_size: size of a tile in pixels, one number or one for each axis.
        border: pixels at each edge of a tile that are not trusted, one number or one for each axis.
        sw_batch_size: tiles in one forward.
        kwargs: of MONAI's SlidingWindowInferer, such as ``device="cpu"`` to put the result together there.

    Raises:
        UserError: when the border leaves no centre.

    Example:
        >>> image = torch.rand(1, 1, 21, 34)
        >>> torch.equal(TrustedCentreInferer(16, 5)(image, torch.nn.Identity()), image)
        True
    """

    def __init__(
        self, roi_size: Sequence[int] | int, border: Sequence[int] | int, sw_batch_size: int = 4, **kwargs: Any
    ) -> None:
        super().__init__(roi_size, sw_batch_size, **kwargs)
        self.border = border
        self._tile_and_border(1 if isinstance(roi_size, int) else len(roi_size))

    def __call__(self, inputs: Tensor, network: Callable[..., Any], *args: Any, **kwargs: Any) -> Tensor:
        """Logits of ``inputs`` ``BCH[WD]``, of the same spatial size."""
        sizes = inputs.shape[2:]
        tile, border = self._tile_and_border(len(sizes))
        centre = [side - 2 * edge for side, edge in zip(tile, border, strict=True)]
        # half a pixel less, because MONAI rounds the step between tiles down: it is then the centre's size exactly
        self.overlap = [max(0.0, (2 * edge - 0.5) / side) for side, edge in zip(tile, border, strict=True)]
        self.roi_weight_map = torch.zeros(1, 1, *tile)
        self.roi_weight_map[_window(border, centre)] = 1.0
        padded = convert_to_tensor(inputs, track_meta=False)
        for axis, (size, edge, step) in enumerate(zip(sizes, border, centre, strict=True), start=2):
            # first to whole centres, so that no tile is moved inwards and none of them meets another's centre
            whole = _reflected(size, 0, -size % step)
            padded = padded.index_select(axis, whole[_reflected(len(whole), edge, edge)].to(padded.device))
        logits = super().__call__(padded, network, *args, **kwargs)
        assert isinstance(logits, Tensor), "the network gives one tensor of logits"
        return convert_to_dst_type(logits[_window(border, sizes)], inputs, dtype=logits.dtype)[0]

    def _tile_and_border(self, dimensions: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        tile, border = ensure_tuple_rep(self.roi_size, dimensions), ensure_tuple_rep(self.border, dimensions)
        if any(edge < 0 or side <= 2 * edge for side, edge in zip(tile, border, strict=True)):
            found = f"{self.border} pixels at each edge of tiles of {self.roi_size}"
            expected = "less than half of the tile"
            raise UserError("border", found=found, expected=expected, fix="take larger tiles or a smaller border")
        return tile, border


def _window(start: Sequence[int], size: Sequence[int]) -> tuple[slice, ...]:
    """The index of a window in all batches and channels."""
    spatial = (slice(first, first + length) for first, length in zip(start, size, strict=True))
    return (slice(None), slice(None), *spatial)


def _reflected(size: int, before: int, after: int) -> Tensor:
    """Positions along an axis of ``size`` that is continued by reflection, however far.

    ``F.pad`` refuses to go further than the image is long, which small images need.
    """
    period = max(2 * (size - 1), 1)
    return (torch.arange(-before, size + after).remainder(period) - (size - 1)).abs().neg() + (size - 1)
