"""Distances between the surfaces of two masks, by MONAI."""

from __future__ import annotations

import warnings

import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance
from monai.metrics.utils import get_edge_surface_distance

__all__ = ["average_surface", "hausdorff_95", "surface_distances"]


def hausdorff_95(predicted: torch.Tensor, true: torch.Tensor, spacing: list[float] | None = None) -> float:
    """The 95th percentile of the distances from one surface to the other, the larger of both directions.

    Args:
        predicted, true: boolean masks ``HW[D]``, neither empty.
        spacing: of the pixels, None for distances in pixels.
    """
    with warnings.catch_warnings():
        # MONAI 1.6 calls itself with an argument that it has deprecated
        warnings.simplefilter("ignore", FutureWarning)
        distance = compute_hausdorff_distance(
            predicted[None, None].float(),
            true[None, None].float(),
            include_background=True,
            percentile=95,
            spacing=spacing,
        )
    return distance.item()


def average_surface(predicted: torch.Tensor, true: torch.Tensor, spacing: list[float] | None = None) -> float:
    """The mean distance between the surfaces, over the points of both; arguments as in :func:`hausdorff_95`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        distance = compute_average_surface_distance(
            predicted[None, None].float(),
            true[None, None].float(),
            include_background=True,
            symmetric=True,
            spacing=spacing,
        )
    return distance.item()


def surface_distances(predicted: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """From every point of each surface to the other one, in pixels, both directions together."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        _, distances, _ = get_edge_surface_distance(predicted, true, symmetric=True)
    return torch.cat([torch.as_tensor(part).flatten() for part in distances])
