"""Centreline Dice (clDice): how much of each vessel tree's centreline lies inside the other tree."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from monai.metrics import CumulativeIterationMetric
from monai.metrics.utils import do_metric_reduction
from monai.utils import MetricReduction, convert_to_numpy

__all__ = ["CentrelineDiceMetric", "centreline", "centreline_dice"]


class CentrelineDiceMetric(CumulativeIterationMetric):
    """Centreline Dice as a MONAI metric; see :func:`centreline_dice` for what is computed.

    Args:
        include_background: whether the first channel counts.
        reduction: how cases and channels are reduced, as in MONAI's metrics. NaN values are left out.
        get_not_nans: whether ``aggregate()`` also returns how many values there were.

    Example:
        >>> metric = CentrelineDiceMetric()
        >>> vessel = torch.zeros(1, 1, 16, 16)
        >>> vessel[..., 4:7, 2:14] = 1
        >>> _ = metric(y_pred=vessel, y=vessel)
        >>> metric.aggregate().item()
        1.0
    """

    def __init__(
        self,
        include_background: bool = True,
        reduction: MetricReduction | str = MetricReduction.MEAN,
        get_not_nans: bool = False,
    ) -> None:
        super().__init__()
        self.include_background = include_background
        self.reduction = reduction
        self.get_not_nans = get_not_nans

    def _compute_tensor(self, y_pred: torch.Tensor, y: torch.Tensor, **_: Any) -> torch.Tensor:  # type: ignore[override]
        first = 0 if self.include_background else 1
        return centreline_dice(y_pred[:, first:], y[:, first:])

    def aggregate(
        self, reduction: MetricReduction | str | None = None
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """The reduced metric over all cases seen since ``reset()``."""
        value, not_nans = do_metric_reduction(self.get_buffer(), reduction or self.reduction)
        return (value, not_nans) if self.get_not_nans else value


def centreline_dice(y_pred: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Centreline Dice of hard masks, per case and channel.

    ``2·P·S / (P + S)`` where the precision P is the share of the predicted centreline inside the true mask, and the
    sensitivity S the share of the true centreline inside the predicted mask.
    Both masks empty: NaN. One of them empty, or no overlap: 0.

    Args:
        y_pred: predicted masks, binary, ``BCHW[D]``.
        y: true masks, binary, ``BCHW[D]``.

    Returns:
        ``BC`` values between 0 and 1, or NaN.

    Raises:
        ValueError: when the shapes differ, or are not those of 2-D or 3-D images.

    Source:
        Shit et al., "clDice", CVPR 2021, equations 1 and 2, with skeletons from :func:`centreline`.

    Example:
        >>> truth = torch.zeros(1, 1, 16, 16)
        >>> truth[..., 4, 2:14] = 1
        >>> half = truth.clone()
        >>> half[..., 8:] = 0
        >>> round(centreline_dice(half, truth).item(), 3)
        0.667
    """
    if y_pred.shape != y.shape or y.ndim not in (4, 5):
        raise ValueError(
            f"expected two tensors of one shape, BCHW or BCHWD, got {tuple(y_pred.shape)}, {tuple(y.shape)}"
        )
    prediction, truth = (convert_to_numpy(mask).astype(bool) for mask in (y_pred, y))
    values = [_one_mask(prediction[index], truth[index]) for index in np.ndindex(*y.shape[:2])]
    return torch.tensor(values, dtype=torch.float32, device=y.device).reshape(y.shape[:2])


def _one_mask(prediction: np.ndarray, truth: np.ndarray) -> float:
    if not prediction.any() and not truth.any():
        return float("nan")
    if not (prediction & truth).any():
        return 0.0
    precision = truth[centreline(prediction)].mean()
    sensitivity = prediction[centreline(truth)].mean()
    return float(2 * precision * sensitivity / (precision + sensitivity)) if precision + sensitivity else 0.0


def centreline(mask: np.ndarray) -> np.ndarray:
    """The skeleton of a binary mask, ``HW`` or ``HWD``; every connected part of the mask keeps one.

    scikit-image's 3-D thinning erases whole vessels whose cross-section is an even number of voxels wide
    (scikit-image issue 3757). Such a part is thinned again after one layer of voxels was taken off, which makes its
    width odd; all other parts are exactly scikit-image's skeleton, as in published clDice values.

    Example:
        >>> vessel = np.zeros((8, 8, 20), dtype=bool)
        >>> vessel[2:6, 2:6, 2:18] = True
        >>> bool(centreline(vessel).any())
        True
    """
    from scipy.ndimage import find_objects, label
    from skimage.morphology import skeletonize

    skeleton = skeletonize(mask)
    if mask.ndim == 2:
        return skeleton
    parts, _ = label(mask, structure=np.ones((3,) * mask.ndim))
    for number, box in enumerate(find_objects(parts), start=1):
        part = parts[box] == number
        if not (skeleton[box] & part).any():
            skeleton[box] |= _thin_even_part(part)
    return skeleton


def _thin_even_part(part: np.ndarray) -> np.ndarray:
    from skimage.morphology import skeletonize

    for axis in range(part.ndim):
        thinner = part & np.roll(part, 1, axis)
        # roll wraps around: the first layer has no neighbour before it
        thinner[(slice(None),) * axis + (0,)] = False
        if thinner.any():
            part = thinner
        skeleton = skeletonize(part)
        if skeleton.any():
            return skeleton
    return part
