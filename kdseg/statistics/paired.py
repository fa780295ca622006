"""What can be said of differences that were measured in several trainings and on several cases, or why it cannot be.

A difference depends on the training (the luck of its start and its batches), on the case, and on what the two do
together. Trainings and cases are both drawn from many, so the variance of the mean counts both, as studies of many
readers and many cases do; each fold may test cases of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["MINIMUM_CASES", "MINIMUM_RUNS", "Estimate", "crossed_mean", "crossed_share", "holm"]

MINIMUM_RUNS = 5
"""Trainings below which there is neither interval nor p-value: their spread is not known well enough."""

MINIMUM_CASES = 6
"""The same of cases."""

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval and its two-sided p-value against zero, or the reason why these are missing."""

    mean: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    reason: str | None = None


def crossed_mean(values: ArrayLike, runs: ArrayLike, cases: ArrayLike) -> Estimate:
    """The mean over cases, each averaged over the trainings that measured it, for new trainings and new cases.

    The variance is that of random effects of the training, of the case, and of both together, taken from the sums of
    the weighted residuals: over trainings, plus over cases, minus over pairs, which the other two contain both
    (Cameron, Gelbach and Miller, Journal of Business and Economic Statistics 29, 2011), and never less than one of the
    first two. Interval and p-value are those of Student's t with the smaller of the two degrees of freedom (n − 1) ·
    (variance / its part)², as Hillis has it for readers and cases (Statistics in Medicine 26, 2007).

    Args:
        values: a finite number for each pair of training and case.
        runs: what tells the trainings apart, one label for each value.
        cases: what tells the cases apart, one label for each value.

    Example:
        >>> runs, cases = np.repeat(range(5), 6), np.tile(range(6), 5)
        >>> found = crossed_mean(0.02 + 0.01 * (runs % 2) - 0.01 * (cases % 2), runs, cases)
        >>> f"{found.mean:.3f}, {found.low:.3f} to {found.high:.3f}, p {found.p:.3f}"
        '0.019, 0.012 to 0.026, p 0.000'
        >>> crossed_mean([0.1, 0.2], [0, 1], ["a", "a"]).reason
        'only 2 trainings, and a verdict needs at least 5'
    """
    from scipy.stats import t

    array, run, case = _numbered(values, runs, cases)
    mean, variance, freedom = _moments(array, run, case)
    for labels, least, name in ((run, MINIMUM_RUNS, "training"), (case, MINIMUM_CASES, "case")):
        if (count := int(labels.max()) + 1) < least:
            found = f"only {count} {name}{'' if count == 1 else 's'}"
            return Estimate(mean, reason=f"{found}, and a verdict needs at least {least}")
    # differences that are equal but for the last bits are equal
    if np.ptp(array) < 1e-12:
        return Estimate(mean, reason="all differences are the same")
    error = math.sqrt(variance)
    reach = error * float(t.ppf(0.5 + CONFIDENCE / 2, freedom))
    return Estimate(mean, mean - reach, mean + reach, float(2 * t.sf(abs(mean) / error, freedom)))


def crossed_share(parts: ArrayLike, wholes: ArrayLike, runs: ArrayLike, cases: ArrayLike) -> Estimate:
    """The share mean(parts) / mean(wholes) with Fieller's interval: the shares that the pairs do not speak against.

    It holds zero when that of the parts does. There is no p-value, and no interval when the mean of the wholes may be
    zero or negative: a share of nothing has no bounds.

    Args:
        parts: a number for each pair of training and case, such as the gain over the student alone.
        wholes: the same of what it is a share of, such as the teacher's lead over the student alone.
        runs: see :func:`crossed_mean`.
        cases: see there.

    Example:
        >>> runs, cases = np.repeat(range(5), 6), np.tile(range(6), 5)
        >>> found = crossed_share(1 + 0.1 * (cases % 2), 2 + 0.1 * (runs % 2), runs, cases)
        >>> 0.4 < found.low < found.mean < found.high < 0.6
        True
    """
    from scipy.stats import t

    part, run, case = _numbered(parts, runs, cases)
    whole = np.asarray(wholes, dtype=float)
    gain = crossed_mean(part, run, case)
    lead, lead_variance, _ = _moments(whole, run, case)
    if gain.low is None:
        return Estimate(gain.mean / lead, reason=gain.reason)
    variance, freedom = _moments(part, run, case)[1:]
    covariance = (_moments(part + whole, run, case)[1] - _moments(part - whole, run, case)[1]) / 4
    square = float(t.ppf(0.5 + CONFIDENCE / 2, freedom)) ** 2
    # share² · a − 2 · share · b + c ≤ 0
    a, b, c = lead**2 - square * lead_variance, gain.mean * lead - square * covariance, gain.mean**2 - square * variance
    if lead <= 0 or a <= 0:
        return Estimate(gain.mean / lead, reason="the teacher's lead over the student alone is itself not certain")
    reach = math.sqrt(max(b**2 - a * c, 0.0))
    return Estimate(gain.mean / lead, (b - reach) / a, (b + reach) / a)


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


def _numbered(
    values: ArrayLike, runs: ArrayLike, cases: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
    run, case = (np.unique(np.asarray(labels), return_inverse=True)[1] for labels in (runs, cases))
    return np.asarray(values, dtype=float), run, case


def _moments(values: NDArray[np.float64], run: NDArray[np.intp], case: NDArray[np.intp]) -> tuple[float, float, float]:
    """Mean, its variance and the degrees of freedom of that."""
    counts = np.bincount(case)
    # a case counts once, however many trainings measured it
    weights = 1.0 / (counts[case] * len(counts))
    mean = float(weights @ values)
    parts = weights * (values - mean)
    by_run, by_case = (_variance(np.bincount(labels, parts)) for labels in (run, case))
    variance = max(by_run + by_case - _variance(parts), by_run, by_case)
    degrees = [int(labels.max()) * (variance / part) ** 2 for labels, part in ((run, by_run), (case, by_case)) if part]
    return mean, variance, min(degrees, default=math.inf)


def _variance(sums: NDArray[Any]) -> float:
    return float(len(sums) / max(len(sums) - 1, 1) * (sums**2).sum())
