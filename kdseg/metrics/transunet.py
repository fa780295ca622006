"""Dice and HD95 of one organ as TransUNet's code counts them, and with it the papers that compare on its division.

Where the organ is both predicted and in the label, they are what one expects: Dice, and the 95th percentile of the
surface distances of both directions together (medpy's ``hd95``), in voxels, whatever their size. The published rules
for the rest:

- predicted, but not in the label: Dice 1, distance 0;
- not predicted: Dice 0, distance 0, whether or not the label has it.

A missed organ thus lowers the mean distance. Use these figures for comparison with published tables, and ``dice`` and
``hd95_mm`` for judgement.
"""

from __future__ import annotations

import torch

from kdseg.metrics.surface import SurfaceDistances

__all__ = ["transunet_dice", "transunet_hd95"]


def transunet_dice(predicted: torch.Tensor, true: torch.Tensor) -> float:
    """Dice of one organ in a volume, by the published rules.

    Args:
        predicted, true: boolean masks ``WHD``.

    Example:
        >>> organ = torch.ones(4, 4, 4, dtype=torch.bool)
        >>> transunet_dice(organ, ~organ), transunet_dice(~organ, organ), transunet_dice(~organ, ~organ)
        (1.0, 0.0, 0.0)
    """
    if not predicted.any():
        return 0.0
    if not true.any():
        return 1.0
    return 2.0 * float((predicted & true).sum()) / float(predicted.sum() + true.sum())


def transunet_hd95(distances: SurfaceDistances | None) -> float:
    """HD95 of one organ in voxels, by the published rules; None where one of the masks is empty."""
    return 0.0 if distances is None else distances.pooled_95()
