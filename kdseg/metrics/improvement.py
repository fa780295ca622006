"""Whether a training was long enough: what the last quarter of its validations has gained."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

__all__ = ["FEWEST", "SMALLEST_GAIN", "improvement", "last_quarter_gain"]

SMALLEST_GAIN = 0.005
"""Of a score between 0 and 1: a gain below it counts as none, where the spread between seeds is not known."""

FEWEST = 8
"""With fewer validations there is nothing to say: a quarter is then a single one."""


def last_quarter_gain(scores: Sequence[float]) -> float | None:
    """Mean of the last quarter of the validations, less the mean of the quarter before it; None for fewer than 8.

    Means, because single validations are noisy. It tells of trainings that were cut off while they were rising. With a
    learning rate that falls to zero a score must come to rest, so it does not tell that a longer one gains nothing.

    Args:
        scores: of one training, in their order, larger is better.

    Example:
        >>> last_quarter_gain([0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.6, 0.7])
        0.15
        >>> last_quarter_gain([0.5, 0.6]) is None
        True
    """
    quarter = len(scores) // 4
    if len(scores) < FEWEST:
        return None
    return round(fmean(scores[-quarter:]) - fmean(scores[-2 * quarter : -quarter]), 6)


def improvement(scores: Sequence[float]) -> dict[str, Any]:
    """What ``history.json`` says of one training: its last quarter's gain, what counts as none, whether it has stopped.

    Example:
        >>> improvement([0.5, 0.6, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7])["has_stopped"]
        True
    """
    gain = last_quarter_gain(scores)
    return {
        "validations": len(scores),
        "last_quarter_gain": gain,
        "threshold": SMALLEST_GAIN,
        "has_stopped": None if gain is None else gain < SMALLEST_GAIN,
    }
