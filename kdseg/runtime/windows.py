"""How a network goes over an image, on arrays: whole, in tiles, slice by slice, or in windows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from kdseg.task.task import Task

__all__ = ["logits_of"]

Model = Callable[[np.ndarray], np.ndarray]
SLICES_AT_ONCE, WINDOWS_AT_ONCE, TILES_AT_ONCE = 8, 2, 4
# of the windows of a slice that is larger than the network's size
OVERLAP_OF_SLICES = 0.25


def logits_of(task: Task, image: np.ndarray, model: Model) -> np.ndarray:
    """Logits ``KWH[D]`` of an image ``CWH[D]`` on the network's grid: what :func:`kdseg.task.inferer` does in torch."""
    if task.patch_size is None:
        return _whole(image, model, task.divisible)
    if task.kind == "picture":
        return _tiles(image, model, task.patch_size, task.border)
    if task.dimensions == 2:

        def flat(windows: np.ndarray) -> np.ndarray:
            return model(windows[..., 0])[..., None]

        return _windows(image, flat, (*task.patch_size, 1), OVERLAP_OF_SLICES, None, SLICES_AT_ONCE)
    weights = _gaussian(task.patch_size)
    return _windows(image, model, task.patch_size, task.overlap, weights, WINDOWS_AT_ONCE)


def _whole(image: np.ndarray, model: Model, divisible: int) -> np.ndarray:
    pad = [(0, -side % divisible) for side in image.shape[1:]]
    logits = model(np.pad(image, [(0, 0), *pad], mode="edge")[None])[0]
    return logits[(slice(None), *(slice(side) for side in image.shape[1:]))]


def _tiles(image: np.ndarray, model: Model, tile: Sequence[int], border: int) -> np.ndarray:
    """Each pixel from the trusted centre of one tile; the image goes on by its reflection."""
    sizes, centre = image.shape[1:], [side - 2 * border for side in tile]
    for axis, (size, step) in enumerate(zip(sizes, centre, strict=True), start=1):
        whole = _reflected(size, 0, -size % step)
        image = image.take(whole[_reflected(len(whole), border, border)], axis=axis)
    starts = list(itertools.product(*(range(0, size, step) for size, step in zip(sizes, centre, strict=True))))
    result: Any = None
    for group in _groups(starts, TILES_AT_ONCE):
        logits = model(np.stack([image[_at(start, tile)] for start in group]))
        if result is None:
            rounded = [-(-size // step) * step for size, step in zip(sizes, centre, strict=True)]
            result = np.empty((logits.shape[1], *rounded), np.float32)
        for start, one in zip(group, logits, strict=True):
            result[_at(start, centre)] = one[_at([border] * len(tile), centre)]
    return result[(slice(None), *(slice(size) for size in sizes))]


def _reflected(size: int, before: int, after: int) -> np.ndarray:
    """Positions along an axis of ``size`` that is continued by reflection, however far."""
    period = max(2 * (size - 1), 1)
    return (size - 1) - np.abs(np.arange(-before, size + after) % period - (size - 1))


def _windows(
    image: np.ndarray,
    model: Model,
    window: Sequence[int],
    overlap: float,
    weights: np.ndarray | None,
    at_once: int,
) -> np.ndarray:
    """Overlapping windows, averaged by their weights; a smaller image is surrounded by 0."""
    sizes = image.shape[1:]
    missing = [max(side - size, 0) for side, size in zip(window, sizes, strict=True)]
    pad = [(less // 2, less - less // 2) for less in missing]
    image = np.pad(image, [(0, 0), *pad])
    sides = [_starts(size, side, overlap) for size, side in zip(image.shape[1:], window, strict=True)]
    starts = list(itertools.product(*sides))
    # where no two windows meet there is nothing to average
    apart = all(len(one) == 1 or all(np.diff(one) >= side) for one, side in zip(sides, window, strict=True))
    result: Any = None
    total = np.zeros(image.shape[1:], np.float32)
    for group in _groups(starts, at_once):
        logits = model(np.stack([image[_at(start, window)] for start in group]))
        if result is None:
            result = np.zeros((logits.shape[1], *image.shape[1:]), np.float32)
        for start, one in zip(group, logits, strict=True):
            if apart:
                result[_at(start, window)] = one
                continue
            weight = np.float32(1) if weights is None else weights
            result[_at(start, window)] += one * weight
            total[_at(start, window)[1:]] += weight
    if not apart:
        result /= total
    return result[(slice(None), *(slice(less[0], less[0] + size) for less, size in zip(pad, sizes, strict=True)))]


def _starts(size: int, side: int, overlap: float) -> list[int]:
    if side >= size:
        return [0]
    step = max(int(side * (1 - overlap)), 1)
    count = next(number for number in range(math.ceil(size / step)) if number * step + side >= size) + 1
    # the last one ends where the image does
    return [min(number * step, size - side) for number in range(count)]


def _gaussian(window: Sequence[int]) -> np.ndarray:
    """Less weight towards the edges of a window, where a network sees less of the surroundings."""
    weights = np.ones((1,) * len(window), np.float32)
    for axis, side in enumerate(window):
        places = np.arange(side, dtype=np.float32) - np.float32((side - 1) / 2)
        shape = [1] * len(window)
        shape[axis] = side
        weights = weights * np.exp(places**2 / np.float32(-2 * (0.125 * side) ** 2)).reshape(shape)
    return np.maximum(weights, max(float(weights.min()), 1e-3)).astype(np.float32)


def _at(start: Sequence[int], size: Sequence[int]) -> tuple[slice, ...]:
    return (slice(None), *(slice(first, first + length) for first, length in zip(start, size, strict=True)))


def _groups(items: Sequence[Any], count: int) -> Iterator[Sequence[Any]]:
    for first in range(0, len(items), count):
        yield items[first : first + count]
