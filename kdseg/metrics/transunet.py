"""Dice and HD95 of one organ as TransUNet's code counts them, and with it the papers that compare on its division."""

from __future__ import annotations

import numpy as np
import torch

from kdseg.metrics.surface import surface_distances

__all__ = ["transunet_metrics"]


def transunet_metrics(predicted: torch.Tensor, true: torch.Tensor) -> dict[str, float]:
    """Dice and the 95th percentile of the surface distances in voxels, with the published rules for empty organs.

    - Both there: Dice; and the 95th percentile of the distances of both directions together (medpy's ``hd95``), in
      voxels, whatever their size.
    - Predicted, but not in the label: Dice 1, distance 0.
    - Not predicted: Dice 0, distance 0, whether or not the label has it.

    A missed organ thus lowers the mean distance. Use these figures for comparison with published tables, and
    ``dice`` and ``hd95_mm`` for judgement.

    Args:
        predicted, true: boolean masks ``WHD``.

    Example:
        >>> organ = torch.zeros(4, 4, 4, dtype=torch.bool)
        >>> transunet_metrics(organ, organ)
        {'dice': 0.0, 'hd95': 0.0}
    """
    if not predicted.any():
        return {"dice": 0.0, "hd95": 0.0}
    if not true.any():
        return {"dice": 1.0, "hd95": 0.0}
    dice = 2.0 * float((predicted & true).sum()) / float(predicted.sum() + true.sum())
    # numpy, because torch.quantile refuses more than 16 million values
    return {"dice": dice, "hd95": float(np.percentile(surface_distances(predicted, true).numpy(), 95))}
