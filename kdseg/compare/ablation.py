"""Which parts of a method are tried by themselves: what ``kdseg compare --ablate`` runs."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from kdseg.distill import METHODS

__all__ = ["ablation_table", "subsets"]


def subsets(method: str) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """Subsets of a method's terms, each with the ``method_args`` that leave the other terms out.

    Every term by itself, then the terms added one after the other in the method's order, the whole method last.

    Args:
        method: a name of :data:`kdseg.distill.METHODS`.

    Example:
        >>> [terms for terms, _ in subsets("lightvessel")]
        [('fsd',), ('asd',), ('fsd', 'asd')]
        >>> subsets("lightvessel")[0][1]
        {'asd': {'weight': 0}}
    """
    terms = [name for name, term in METHODS[method].terms.items() if term.weight != 0 or term.share]
    chosen = [*combinations(terms, 1), *(tuple(terms[:count]) for count in range(2, len(terms) + 1))]
    return [(kept, {name: {"weight": 0} for name in terms if name not in kept}) for kept in chosen]


def ablation_table(method: str, cases: Path, metric: str = "dice") -> str:
    """Which terms give what: a row for the student alone, one for each subset, in Markdown.

    Args:
        method: the method that was taken apart.
        cases: ``cases.csv`` of the comparison; the mean is over its cases, seeds and folds.
        metric: the column.
    """
    from tabulate import tabulate

    means = pd.read_csv(cases).groupby("arm")[metric].mean()
    terms = [name for name, term in METHODS[method].terms.items() if term.weight != 0 or term.share]
    lines: list[list[object]] = []
    for kept in ((), *(subset for subset, _ in subsets(method))):
        arm = f"{method}[{'+'.join(kept)}]" if kept else "alone"
        if arm in means:
            lines.append([*("✓" if term in kept else "" for term in terms), means[arm]])
    return tabulate(lines, [*terms, metric], "pipe", floatfmt=".4f")
