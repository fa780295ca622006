"""From logits to class numbers on the grid of the file, on arrays: what the task's output steps say."""

from __future__ import annotations

import numpy as np

from kdseg.runtime.grids import Undo
from kdseg.task.task import Task

__all__ = ["class_numbers"]


def class_numbers(task: Task, logits: np.ndarray, back: Undo) -> np.ndarray:
    """Class numbers ``1WH[D]``, uint8, on the grid of the file.

    Of a picture probabilities are brought to full size and then decided on; of a volume the decision is.

    Args:
        task: its head, classes and ``largest_component``.
        logits: ``KWH[D]`` on the network's grid.
        back: from that grid to the file's.
    """
    if task.kind == "volume":
        decided = back(_decided(task, logits), True)
        return decided if task.head == "softmax" else _numbers(decided, None)
    if task.head == "softmax":
        # softmax keeps the order: it matters where values are averaged
        values = back(_softmax(logits), False) if task.scale < 1 else logits
        return _largest(task, values.argmax(axis=0)[None].astype(np.uint8))
    probability = back(_sigmoid(logits), False) if task.scale < 1 else _sigmoid(logits)
    return _numbers(_largest(task, (probability >= 0.5).astype(np.uint8)), probability)


def _decided(task: Task, logits: np.ndarray) -> np.ndarray:
    if task.head == "softmax":
        return _largest(task, logits.argmax(axis=0)[None].astype(np.uint8))
    return _largest(task, (_sigmoid(logits) >= 0.5).astype(np.uint8))


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=0, keepdims=True))
    return powers / powers.sum(axis=0, keepdims=True)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    # of the two forms the one whose power does not overflow
    power = np.exp(-np.abs(logits))
    return np.where(logits >= 0, 1, power) / (1 + power)


def _numbers(channels: np.ndarray, probability: np.ndarray | None) -> np.ndarray:
    """One channel of class numbers from a yes or no of each; where several say yes the most probable, or the first."""
    if len(channels) == 1:
        return channels
    ranked = channels if probability is None else channels * probability
    return np.where(channels.any(axis=0), ranked.argmax(axis=0) + 1, 0)[None].astype(np.uint8)


def _largest(task: Task, mask: np.ndarray) -> np.ndarray:
    """The largest connected part of every class alone, where the task says so."""
    if not task.largest_component:
        return mask
    for number in range(1, len(task.classes) + 1):
        channel = mask[0 if task.head == "softmax" else number - 1]
        own = channel == (number if task.head == "softmax" else 1)
        channel[own & ~_largest_part(own)] = 0
    return mask


def _largest_part(mask: np.ndarray) -> np.ndarray:
    """The voxels that touch one another, at a corner or more, and are the most."""
    from scipy.ndimage import label

    parts, count = label(mask, np.ones((3,) * mask.ndim))
    if count <= 1:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return parts == np.argsort(sizes)[::-1][0]
