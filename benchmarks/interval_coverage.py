"""How often a 95 % interval holds the true gain when trainings and cases are drawn anew.

    python benchmarks/interval_coverage.py > benchmarks/results/interval_coverage.txt

Each line draws 1000 comparisons with the variances between trainings, between cases and of both together that were
found on the angiograms (docs/results/angiograms_in_folds/cases.csv). One that misses zero is a false claim: the p-value
of kdseg comes from the same model, so its errors at 0.05 are what the coverage lacks. About four minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import t
from tabulate import tabulate

from kdseg.statistics.paired import crossed_mean

CASES = Path(__file__).parents[1] / "docs" / "results" / "angiograms_in_folds" / "cases.csv"
SETS, RESAMPLES = 1000, 500
DESIGNS = {
    "3 folds × 3 seeds, 10 cases a fold": (3, 3, 10),
    "3 folds × 2 seeds, 10 cases a fold": (3, 2, 10),
    "5 folds × 1 seed, 8 cases a fold": (5, 1, 8),
    "5 seeds, 8 cases": (1, 5, 8),
    "5 seeds, 30 cases": (1, 5, 30),
    "9 seeds, 12 cases": (1, 9, 12),
    "3 folds × 5 seeds, 28 cases a fold": (3, 5, 28),
}
Table = NDArray[np.float64]
"""Differences, a row a training and a column a case; NaN where the case is not of its fold."""


def main() -> None:
    random = np.random.default_rng(0)
    variances = found_variances()
    variances["large between cases"] = (0.01, 0.05, 0.05)
    variances["none but of both"] = (0.0, 0.0, 0.05)
    rows = []
    for (design, sizes), (name, spreads), tails in product(DESIGNS.items(), variances.items(), ("normal", "t, 3")):
        tables = [draw(random, sizes, spreads, tails) for _ in range(SETS)]
        held = [np.mean([low <= 0 <= high for low, high in map(kind, tables)]) for kind in KINDS.values()]
        spread = ", ".join(f"{value:.3f}" for value in spreads)
        rows.append([design, name, spread, tails, *(f"{100 * share:.1f} %" for share in held)])
    headers = ["design", "variances of", "sd of training, case, both", "drawn from", *KINDS]
    print(tabulate(rows, headers, stralign="left", disable_numparse=True))


def found_variances() -> dict[str, tuple[float, float, float]]:
    """Standard deviations between trainings, cases and pairs of the gains of each arm, within folds."""
    frame = pd.read_csv(CASES)
    dice = frame.set_index(["arm", "fold", "seed", "case"])["dice"]
    found = {}
    for arm in [name for name in frame["arm"].unique() if name not in ("teacher", "alone")]:
        parts = []
        for _, gains in (dice[arm] - dice["alone"]).unstack("case").groupby(level="fold"):
            table = gains.dropna(axis=1).to_numpy()
            runs, cases = table.shape
            rest = table - table.mean(1, keepdims=True) - table.mean(0) + table.mean()
            both = (rest**2).sum() / ((runs - 1) * (cases - 1))
            parts.append((table.mean(1).var(ddof=1) - both / cases, table.mean(0).var(ddof=1) - both / runs, both))
        run, case, both = np.sqrt(np.maximum(np.mean(parts, axis=0), 0.0)).tolist()
        found[arm] = (run, case, both)
    return found


def draw(
    random: np.random.Generator, sizes: tuple[int, int, int], spreads: tuple[float, float, float], tails: str
) -> Table:
    """A comparison without any true gain: folds of seeds, each with cases of its own."""
    folds, seeds, cases = sizes

    def noise(*shape: int) -> Table:
        # of variance one both
        return random.normal(size=shape) if tails == "normal" else random.standard_t(3, shape) / np.sqrt(3)

    rows, columns = folds * seeds, folds * cases
    run, case, both = spreads
    table = run * noise(rows, 1) + case * noise(1, columns) + both * noise(rows, columns)
    own = np.repeat(np.arange(folds), seeds)[:, None] == np.repeat(np.arange(folds), cases)
    return np.where(own, table, np.nan)


def over_both(table: Table) -> tuple[float, float]:
    """kdseg's."""
    runs, cases = np.nonzero(np.isfinite(table))
    found = crossed_mean(table[runs, cases], runs, cases)
    assert found.low is not None and found.high is not None
    return found.low, found.high


def _student(means: NDArray[np.float64]) -> tuple[float, float]:
    """As if the other of the two, trainings or cases, were all that there can be."""
    low, high = t.interval(0.95, len(means) - 1, means.mean(), means.std(ddof=1) / np.sqrt(len(means)))
    return float(low), float(high)


def crossed_bootstrap(table: Table) -> tuple[float, float]:
    """Percentiles of the mean when trainings and cases are both drawn with replacement."""
    random = np.random.default_rng(0)
    runs, cases = (random.multinomial(size, np.full(size, 1 / size), RESAMPLES) for size in table.shape)
    sums = ((runs @ np.nan_to_num(table)) * cases).sum(1)
    counts = ((runs @ np.isfinite(table)) * cases).sum(1)
    low, high = np.quantile(sums[counts > 0] / counts[counts > 0], [0.025, 0.975])
    return float(low), float(high)


KINDS: dict[str, Callable[[Table], tuple[float, float]]] = {
    "cases alone": lambda table: _student(np.nanmean(table, axis=0)),
    "trainings alone": lambda table: _student(np.nanmean(table, axis=1)),
    "crossed bootstrap": crossed_bootstrap,
    "kdseg": over_both,
}

if __name__ == "__main__":
    main()
