"""What can be said of paired differences over cases: an interval, a p-value, a share, or why it cannot be said.

The statistics are scipy's; what is ours is when to stay silent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["MINIMUM_CASES", "Interval", "holm", "mean_interval", "share_interval", "signed_rank_p"]

MINIMUM_CASES = 6
"""Below it there is no interval: with five cases a two-sided signed-rank test cannot get under 0.0625 either."""

CONFIDENCE = 0.95
RESAMPLES = 9999


@dataclass(frozen=True)
class Interval:
    """A confidence interval, or the reason why there is none."""

    low: float | None = None
    high: float | None = None
    reason: str | None = None


def mean_interval(values: ArrayLike) -> Interval:
    """95 % bootstrap interval of the mean of one value a case, by resampling cases.

    It is the expanded percentile interval (Hesterberg, The American Statistician 69, 2015): the plain percentile
    interval is too short for few cases by the factor √((n−1)/n) and by using normal instead of t quantiles, and the
    expanded one takes it at a higher level that makes up for both. The resampling is ``scipy.stats.bootstrap`` with a
    fixed seed.

    Args:
        values: one finite number a case.

    Example:
        >>> interval = mean_interval([0.01, 0.02, 0.03, 0.02, 0.01, 0.03])
        >>> 0.0 < interval.low < 0.02 < interval.high < 0.04
        True
        >>> mean_interval([0.01, 0.02]).reason
        'only 2 cases, and an interval needs at least 6'
    """
    array = np.asarray(values, dtype=float)
    reason = _too_few(array) or _all_equal(array)
    if reason is not None:
        return Interval(reason=reason)
    return _bootstrap((array,), lambda sample, axis: sample.mean(axis=axis))


def share_interval(parts: ArrayLike, wholes: ArrayLike) -> Interval:
    """95 % bootstrap interval of mean(parts) / mean(wholes), pairs resampled together.

    There is none when the mean of the wholes may be zero or negative: a share of nothing has no bounds.

    Args:
        parts: one number a case, such as the gain over the student alone.
        wholes: one number a case, such as the teacher's lead over the student alone.

    Example:
        >>> interval = share_interval([1, 2, 1, 2, 1, 2], [2, 4, 2, 4, 2.1, 4.1])
        >>> 0.4 < interval.low < interval.high < 0.6
        True
    """
    part, whole = np.asarray(parts, dtype=float), np.asarray(wholes, dtype=float)
    reason = _too_few(part)
    if reason is None:
        lead = mean_interval(whole)
        if (whole.mean() if lead.low is None else lead.low) <= 0:
            reason = "the teacher's lead over the student alone is itself not certain"
        elif _all_equal(whole):
            reason = _all_equal(part)
    if reason is not None:
        return Interval(reason=reason)
    return _bootstrap((part, whole), lambda one, other, axis: one.mean(axis=axis) / other.mean(axis=axis))


def signed_rank_p(differences: ArrayLike) -> tuple[float | None, str | None]:
    """Two-sided p-value of the Wilcoxon signed-rank test (``scipy.stats.wilcoxon``), or None and the reason.

    Zeros are left out, as Wilcoxon did; scipy takes the exact distribution for up to 50 cases without ties.

    Example:
        >>> signed_rank_p([1, 2, 3, 4, 5, 6])
        (0.03125, None)
        >>> signed_rank_p([0, 0, 0])
        (None, 'no case differs')
    """
    from scipy.stats import wilcoxon

    # differences that are equal but for the last bits are ties
    array = np.round(np.asarray(differences, dtype=float), 12)
    if not np.any(array):
        return None, "no case differs" if array.size else "no case to compare"
    return float(wilcoxon(array, zero_method="wilcox").pvalue), None


def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Correct p-values for their number after Holm. None stays None, uncounted.

    Example:
        >>> holm({"a": 0.01, "b": 0.04, "c": None})
        {'a': 0.02, 'b': 0.04, 'c': None}
    """
    known = sorted((value, name) for name, value in p_values.items() if value is not None)
    steps = np.arange(len(known), 0, -1) * [value for value, _ in known]
    corrected = np.maximum.accumulate(np.minimum(steps, 1.0))
    by_name = {name: float(value) for (_, name), value in zip(known, corrected, strict=True)}
    return {name: by_name.get(name) for name in p_values}


def _bootstrap(samples: Sequence[NDArray[np.float64]], statistic: Callable[..., Any]) -> Interval:
    from scipy.stats import bootstrap

    found = bootstrap(
        samples,
        statistic,
        paired=len(samples) > 1,
        vectorized=True,
        n_resamples=RESAMPLES,
        confidence_level=_expanded_level(len(samples[0])),
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Interval(float(found.low), float(found.high))


def _expanded_level(count: int) -> float:
    """The level at which the percentile interval of ``count`` values is as wide as a t interval."""
    from scipy.stats import norm, t

    quantile = math.sqrt(count / (count - 1)) * t.ppf(0.5 + CONFIDENCE / 2, count - 1)
    return float(1 - 2 * norm.sf(quantile))


def _too_few(array: NDArray[np.float64]) -> str | None:
    if array.size >= MINIMUM_CASES:
        return None
    cases = f"only {array.size} case{'' if array.size == 1 else 's'}" if array.size else "no case"
    return f"{cases}, and an interval needs at least {MINIMUM_CASES}"


def _all_equal(array: NDArray[np.float64]) -> str | None:
    return "all cases have the same value" if np.ptp(array) < 1e-12 else None
