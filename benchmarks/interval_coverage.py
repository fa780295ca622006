"""How often the report's interval holds the true mean, beside scipy's plain ones.

    python benchmarks/interval_coverage.py

Draws 1000 sets of cases from a known distribution for each line; 95 % is what is promised. About three minutes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

from kdseg.report.table import text_table
from kdseg.statistics import paired

SETS, RESAMPLES = 1000, 1000
KINDS = ["percentile", "BCa", "kdseg"]


def main() -> None:
    paired.RESAMPLES = RESAMPLES
    # BCa warns where all values of a resample agree
    warnings.simplefilter("ignore")
    random = np.random.default_rng(0)
    draws: dict[str, tuple[Callable[[int], NDArray[np.float64]], float]] = {
        "normal": (lambda count: random.normal(0.5, 1.0, count), 0.5),
        "skewed (exponential)": (lambda count: random.exponential(1.0, count), 1.0),
        "heavy tails (t, 3)": (lambda count: random.standard_t(3, count), 0.0),
    }
    rows = []
    for name, (draw, truth) in draws.items():
        for count in (6, 8, 12, 20, 40):
            sets = [draw(count) for _ in range(SETS)]
            held = {kind: np.mean([_holds(kind, values, truth) for values in sets]) for kind in KINDS}
            rows.append([name, count, *(f"{100 * held[kind]:.1f} %" for kind in KINDS)])
    print(text_table(rows, ["cases from", "cases", *KINDS]))


def _holds(kind: str, values: NDArray[np.float64], truth: float) -> bool:
    if kind == "kdseg":
        interval = paired.mean_interval(values)
    else:
        random = np.random.default_rng(0)
        found = bootstrap((values,), np.mean, vectorized=True, method=kind, n_resamples=RESAMPLES, rng=random)
        interval = found.confidence_interval
    return bool(interval.low <= truth <= interval.high)


if __name__ == "__main__":
    main()
