"""A U-Net shaped for latency: pixels folded into channels, few levels, pixels folded back out."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

from monai.networks.layers.factories import Conv, Norm
from torch import nn

from kdseg.errors import UserError
from kdseg.networks.u_shape import UShape

__all__ = ["FoldedUNet"]

WIDEST = 8


class FoldedUNet(UShape):
    """U-Net on a grid where blocks of pixels are channels: several times faster on a CPU than one of its accuracy.

    What makes a thin U-Net slow on a CPU is its first level, whose few channels at full resolution fill neither the
    vector lanes nor the cache. Here the first convolution reads the image folded by ``fold`` (pixel-unshuffle, 3×3),
    which is a convolution of kernel 3·fold and stride fold, and the last one unfolds the logits (1×1, pixel-shuffle),
    which is a transposed one; written so, any size, axis and runtime takes them. Between them is a U-Net of widths c,
    2c, 4c, 8c, 8c.

    Taps: with fold 4 ``enc3…enc5``, ``dec3``, ``dec4``, ``up3``, ``up4``; with fold 2 from ``enc2``; with fold 1 from
    ``enc1``. A fold that differs between axes counts by its largest.

    Tried and left out: a thin level at full resolution beside the grid; it doubles the time and gains nothing
    (docs/results/latency_front.md).

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: channels of the logits.
        base_channels: width c of the first level on the folded grid.
        fold: 1, 2 or 4 pixels to a channel along each axis; or one number for each axis, such as ``(4, 4, 1)`` for
            thick slices.
        levels: sizes of the grid; by default as many as bring the bottleneck to a sixteenth of the image: 5, 4 or 3.

    Shape:
        ``BNHW[D]`` with sizes that are multiples of fold · 2^(levels−1), 16 by default, to ``BKHW[D]``.

    Raises:
        UserError: for a fold or levels that cannot be, and for an image whose sizes do not fit.

    Example:
        >>> network = FoldedUNet(fold=4, base_channels=16)
        >>> network(torch.zeros(2, 1, 32, 48)).shape
        torch.Size([2, 1, 32, 48])
        >>> list(network.taps)
        ['enc3', 'enc4', 'enc5', 'up4', 'up3', 'dec4', 'dec3']
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 1,
        out_channels: int = 1,
        base_channels: int = 8,
        fold: int | Sequence[int] = 2,
        levels: int | None = None,
    ) -> None:
        dims = spatial_dims
        folds = _read_fold(fold, dims)
        first_level = 1 + int(math.log2(max(folds)))
        levels = 6 - first_level if levels is None else levels
        if levels < 1:
            raise UserError("levels", found=str(levels), expected="1 or more", fix="leave it out for the default")
        widths = [base_channels * min(2**level, WIDEST) for level in range(levels)]
        convolution, transposed = Conv[Conv.CONV, dims], Conv[Conv.CONVTRANS, dims]
        folding = convolution(in_channels, widths[0], [3 * its for its in folds], folds, folds, bias=False)
        encoder = [_block(dims, folding, widths[0])]
        for before, after in pairwise(widths):
            encoder.append(_block(dims, convolution(before, after, 3, padding=1, bias=False), after))
        up, decoder = [], []
        for deep, width in zip(widths[:0:-1], widths[-2::-1], strict=True):
            up.append(transposed(deep, width, 2, stride=2))
            decoder.append(_block(dims, convolution(2 * width, width, 3, padding=1, bias=False), width))
        # where little is foreground all weights of the head may turn negative at first; a plain ReLU, silent on the
        # foreground, would then hold the logits below the bias
        [*encoder, *decoder][-1].relu2 = nn.LeakyReLU(0.1)
        head = transposed(widths[0], out_channels, folds, stride=folds)
        multiples = [its * 2 ** (levels - 1) for its in folds]
        super().__init__(dims, encoder, up, decoder, head, multiples, first_level)


def _read_fold(fold: int | Sequence[int], dims: int) -> list[int]:
    folds = [fold] * dims if isinstance(fold, int) else list(fold)
    if len(folds) != dims or any(its not in (1, 2, 4) for its in folds):
        expected = f"1, 2 or 4, or {dims} such numbers, one for each axis"
        raise UserError("fold", found=str(fold), expected=expected, fix="set fold to 2, or to 4 for more speed")
    return folds


def _block(dims: int, first: nn.Module, channels: int) -> nn.Sequential:
    """Two convolutions, each with normalisation and ReLU; the first is given."""
    norm = Norm[Norm.BATCH, dims]
    return nn.Sequential(
        OrderedDict(
            conv1=first,
            norm1=norm(channels),
            relu1=nn.ReLU(inplace=True),
            conv2=Conv[Conv.CONV, dims](channels, channels, 3, padding=1, bias=False),
            norm2=norm(channels),
            # not in place: the backward pass of a tap before it may still need what was there
            relu2=nn.ReLU(),
        )
    )
