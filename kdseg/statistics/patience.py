"""Whether the trainings of an arm were long enough: the last quarter against the spread between seeds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from statistics import fmean, variance
from typing import Any

from kdseg.metrics.improvement import SMALLEST_GAIN

__all__ = ["patience_of"]


def patience_of(cells: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What the last quarter of the validations gained, on average over an arm's trainings, and whether that counts.

    It counts when it is no less than the spread between seeds: the standard deviation of the best validations of one
    fold, over seeds. Where no fold has two seeds the stated threshold takes its place.

    Args:
        cells: of one arm, with "fold", "validation" and "last_quarter_gain" as in ``cells.json``.

    Returns:
        ``last_quarter_gain`` and ``has_stopped``, None where no training had eight validations; ``threshold``, and
        ``threshold_from``: "seeds" or "stated".

    Example:
        >>> seeds = [{"fold": "all", "validation": v, "last_quarter_gain": 0.01} for v in (0.70, 0.73)]
        >>> patience_of(seeds)["has_stopped"], patience_of(seeds[:1])["has_stopped"]
        (True, False)
    """
    gains, by_fold = [], defaultdict(list)
    for cell in cells:
        if cell.get("last_quarter_gain") is not None:
            gains.append(float(cell["last_quarter_gain"]))
            by_fold[cell["fold"]].append(float(cell["validation"]))
    spreads = [(len(values) - 1, variance(values)) for values in by_fold.values() if len(values) > 1]
    freedom = sum(count for count, _ in spreads)
    known = freedom > 0
    threshold = (sum(count * spread for count, spread in spreads) / freedom) ** 0.5 if known else SMALLEST_GAIN
    gain = fmean(gains) if gains else None
    return {
        "last_quarter_gain": gain,
        "threshold": threshold,
        "threshold_from": "seeds" if known else "stated",
        "has_stopped": None if gain is None else gain < threshold,
    }
