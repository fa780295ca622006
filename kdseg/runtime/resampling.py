"""Arrays at other sizes and on other grids, as torch and MONAI resample them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["resampled", "resized", "resized_nearest", "smoothed"]

# MONAI leaves a grid as it is that differs by less
TOLERANCE = 1e-3


def resized(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """``CWH[D]`` at another spatial size by linear interpolation between the centres of pixels."""
    for axis, length in enumerate(size, start=1):
        image = _along(image, axis, _centres(image.shape[axis], length))
    return image


def resized_nearest(image: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """``CWH[D]`` at another spatial size, each pixel from the one before its place."""
    for axis, length in enumerate(size, start=1):
        before = image.shape[axis]
        if before != length:
            scale = np.float32(before) / np.float32(length)
            places = np.floor(np.arange(length, dtype=np.float32) * scale).astype(int)
            image = image.take(np.minimum(places, before - 1), axis=axis)
    return image


def _centres(before: int, after: int) -> np.ndarray:
    scale = np.float32(before) / np.float32(after)
    return np.maximum((np.arange(after, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5), 0)


def _along(image: np.ndarray, axis: int, places: np.ndarray) -> np.ndarray:
    """Values at places along an axis, from 0 to its last index, by linear interpolation."""
    last = image.shape[axis] - 1
    lower = np.minimum(np.floor(places).astype(int), last)
    upper = np.minimum(lower + 1, last)
    shape = [1] * image.ndim
    shape[axis] = len(places)
    part = (places - lower).astype(np.float32).reshape(shape)
    return image.take(lower, axis=axis) * (1 - part) + image.take(upper, axis=axis) * part


def smoothed(image: np.ndarray, sigma: float) -> np.ndarray:
    """``CWH`` smoothed by a Gaussian, nothing (0) outside of the image."""
    from scipy.ndimage import correlate1d

    tail = int(max(sigma * 4, 0.5) + 0.5)
    edges = [math.erf(math.sqrt(0.5) / sigma * (place - 0.5)) for place in range(-tail, tail + 2)]
    kernel = 0.5 * np.diff(edges)
    for axis in range(1, image.ndim):
        image = correlate1d(image, kernel, axis=axis, mode="constant")
    return image


def resampled(image: np.ndarray, place: np.ndarray, size: Sequence[int], nearest: bool) -> np.ndarray:
    """``CWHD`` on another grid, the border repeated outside of the image.

    Where a place is half-way between two voxels, torch takes the one or the other for the nearest as its rounding falls
    on this processor; here it is the even one.

    Args:
        image: on the first grid.
        place: 4×4, an index of the new grid → an index of the first one.
        size: of the new grid.
        nearest: the nearest voxel in place of linear interpolation.
    """
    if np.allclose(place, np.eye(4), atol=TOLERANCE) and tuple(size) == image.shape[1:]:
        return image
    turn = place[:3, :3] - np.diag(np.diag(place[:3, :3]))
    if np.abs(turn).max() * max(size) > TOLERANCE:
        return _turned(image, place, size, nearest)
    for axis, after in enumerate(size):
        before = image.shape[axis + 1]
        places = np.clip(place[axis, axis] * np.arange(after) + place[axis, 3], 0, before - 1)
        image = image.take(np.rint(places).astype(int), axis + 1) if nearest else _along(image, axis + 1, places)
    return image


def _turned(image: np.ndarray, place: np.ndarray, size: Sequence[int], nearest: bool) -> np.ndarray:
    """For grids whose axes are not parallel: of tilted stacks."""
    from scipy.ndimage import map_coordinates

    done = np.empty((len(image), *size), image.dtype)
    last = np.array(image.shape[1:])[:, None, None] - 1
    plane = np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1]), indexing="ij"))
    # slice after slice, because coordinates need many times the memory of values
    for depth in range(size[2]):
        index = np.stack([*plane, np.full(plane.shape[1:], depth)])
        places = np.clip(np.tensordot(place[:3, :3], index, axes=1) + place[:3, 3, None, None], 0, last)
        for channel, values in enumerate(image):
            done[channel, ..., depth] = (
                values[tuple(np.rint(places).astype(int))]
                if nearest
                else map_coordinates(values, places, order=1, mode="nearest")
            )
    return done
