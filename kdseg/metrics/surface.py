"""Distances between the surfaces of two masks: found once, by MONAI, and summarised in the ways that tables ask for."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from monai.metrics.utils import get_edge_surface_distance

__all__ = ["SurfaceDistances", "surface_distances"]


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances from every point of one surface to the other surface, and back."""

    # there, back: one distance for each point of the predicted surface, and of the true one
    there: np.ndarray
    back: np.ndarray

    def hausdorff_95(self) -> float:
        """The 95th percentile, the larger of both directions: MONAI's ``HausdorffDistanceMetric``."""
        return float(max(np.percentile(self.there, 95), np.percentile(self.back, 95)))

    def pooled_95(self) -> float:
        """The 95th percentile of both directions together: medpy's ``hd95``."""
        return float(np.percentile(np.concatenate([self.there, self.back]), 95))

    def average(self) -> float:
        """The mean over the points of both surfaces: MONAI's symmetric ``SurfaceDistanceMetric``."""
        return float(np.concatenate([self.there, self.back]).mean())


def surface_distances(
    predicted: torch.Tensor, true: torch.Tensor, spacing: list[float] | None = None
) -> SurfaceDistances:
    """Measure both directions.

    Args:
        predicted, true: boolean masks ``HW[D]``, neither empty.
        spacing: of the pixels, None for distances in pixels.

    Example:
        >>> line = torch.zeros(8, 8, dtype=torch.bool)
        >>> line[2] = True
        >>> surface_distances(line, line.roll(3, 0)).hausdorff_95()
        3.0
    """
    with warnings.catch_warnings():
        # MONAI 1.6 calls itself with an argument that it has deprecated
        warnings.simplefilter("ignore", FutureWarning)
        _, distances, _ = get_edge_surface_distance(predicted, true, spacing=spacing, symmetric=True)
    there, back = (np.asarray(torch.as_tensor(part).cpu(), dtype=np.float64).ravel() for part in distances)
    return SurfaceDistances(there, back)
