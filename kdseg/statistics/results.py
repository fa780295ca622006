"""The figures of a comparison: what each network reaches, what distillation gained over the student alone, how sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kdseg.statistics.comparison import Comparison, read_comparison
from kdseg.statistics.gains import RUN, gain_over_alone, gains_over_alone, nothing_known
from kdseg.statistics.patience import patience_of

__all__ = ["case_values", "of_students", "results", "statistics_of"]

COSTS = ("params", "macs", "ms_per_image", "seconds", "steps")


def results(out: str | Path) -> dict[str, Any]:
    """The content of ``results.json``; docs/report.md says what each number means.

    ``teacher`` and ``alone`` hold the mean of every metric by its name, ``metrics`` (mean, sd over runs, values left
    out), ``runs``, ``cases``, ``patience`` and the costs. Each of ``methods`` holds the same and the comparison with
    the student alone: ``gain``, ``ci_low``, ``ci_high``, ``p`` (corrected), ``gap_closed`` …, for the key metric;
    ``comparisons`` has them for all metrics. What cannot be said is None, and ``reasons`` says why. ``sites`` and
    ``classes`` break the key metric down where there are several. With several students these are the first one's, and
    ``students`` has all.

    Args:
        out: the output folder of ``kdseg compare``.

    Raises:
        UserError: see :func:`kdseg.statistics.comparison.read_comparison`.
    """
    return statistics_of(read_comparison(out))


def statistics_of(comparison: Comparison) -> dict[str, Any]:
    """:func:`results` of a folder that was read already."""
    students = {name: _of_student(comparison, name) for name in comparison.students}
    states = pd.Series([str(cell["state"]) for cell in comparison.cells], dtype=str).value_counts()
    content: dict[str, Any] = {
        "format": 1,
        "key_metric": comparison.key_metric,
        "cells": {str(state): int(count) for state, count in states.items()},
        "teacher": {},
        "alone": {},
        "methods": {},
    }
    content |= next(iter(students.values()), {})
    return content | ({"students": students} if len(students) > 1 else {})


def of_students(comparison: Comparison, found: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """The results of each student by name, from those of the comparison."""
    return found.get("students", dict.fromkeys(comparison.students, found))


def case_values(comparison: Comparison, student: str, metric: str) -> pd.DataFrame:
    """One row a case, one column an arm: the metric's mean over the runs in which it is finite."""
    frame = _rows_of(comparison, student)
    frame = frame[np.isfinite(frame[metric])]
    order = [arm for arm in ("teacher", "alone", *comparison.arms(student)) if arm in set(frame["arm"])]
    return frame.groupby(["case", "arm"])[metric].mean().unstack("arm")[order]


def _rows_of(comparison: Comparison, student: str) -> pd.DataFrame:
    frame = comparison.cases
    return frame[(frame["student"] == student) | (frame["arm"] == "teacher")]


def _of_student(comparison: Comparison, student: str) -> dict[str, Any]:
    frame = _rows_of(comparison, student)
    arms = comparison.arms(student)
    found: dict[str, Any] = {
        arm: _arm(frame[frame["arm"] == arm], comparison, arm, student) for arm in ("teacher", "alone", *arms)
    }
    compared = {metric: gains_over_alone(frame, metric, arms) for metric in comparison.metrics}
    for arm in arms:
        by_metric = {metric: rows[arm] for metric, rows in compared.items()}
        found[arm] |= by_metric.get(comparison.key_metric, nothing_known("nothing has been measured yet"))
        found[arm]["comparisons"] = by_metric
    return {
        "teacher": found.pop("teacher"),
        "alone": found.pop("alone"),
        "methods": found,
        "sites": _by_site(frame, comparison.key_metric, arms),
        "classes": {
            label: _group(frame, f"{comparison.key_metric}_{label}", arms)
            for label in comparison.classes
            if f"{comparison.key_metric}_{label}" in frame.columns
        },
    }


def _arm(rows: pd.DataFrame, comparison: Comparison, arm: str, student: str) -> dict[str, Any]:
    """Means over runs and cases, their spread over runs, and what the network costs."""
    metrics = {}
    for metric in comparison.metrics if len(rows) else []:
        finite = rows[np.isfinite(rows[metric])]
        runs = finite.groupby(RUN)[metric].mean()
        metrics[metric] = {
            "mean": _number(runs.mean()),
            "sd": _number(runs.std(ddof=1)),
            "undefined": int(rows[metric].isna().sum()),
            "infinite": int(np.isinf(rows[metric]).sum()),
        }
    cells = comparison.cells_of(arm, student)
    costs = {name: [cell[name] for cell in cells if cell.get(name) is not None] for name in COSTS}
    return {
        **{metric: entry["mean"] for metric, entry in metrics.items()},
        "metrics": metrics,
        "runs": int(rows.groupby(RUN).ngroups) if len(rows) else 0,
        "cases": int(rows["case"].nunique()),
        **{name: float(np.mean(values)) if values else None for name, values in costs.items()},
        "patience": patience_of(cells),
        "standing": next((cell.get("standing") for cell in cells), None),
        "failed": len(comparison.cells_of(arm, student, state="failed")),
    }


def _by_site(frame: pd.DataFrame, metric: str, arms: Sequence[str]) -> Mapping[str, Any]:
    sites = sorted(set(frame["site"]) - {""})
    return {site: _group(frame[frame["site"] == site], metric, arms) for site in sites} if len(sites) > 1 else {}


def _group(frame: pd.DataFrame, metric: str, arms: Sequence[str]) -> dict[str, Any]:
    """A part of the cases or one of the classes: exploratory, so with intervals and without p-values."""
    finite = frame[np.isfinite(frame[metric])]
    means = finite.groupby(["arm", *RUN])[metric].mean().groupby("arm").mean()
    rows = {arm: gain_over_alone(frame, metric, arm) for arm in arms}
    return {
        "cases": int(finite["case"].nunique()),
        "teacher": _number(means.get("teacher")),
        "alone": _number(means.get("alone")),
        "methods": {
            arm: {
                "mean": _number(means.get(arm)),
                **{key: row[key] for key in ("gain", "ci_low", "ci_high", "reasons")},
            }
            for arm, row in rows.items()
        },
    }


def _number(value: Any) -> float | None:
    """A finite number, or None: JSON knows no NaN."""
    return None if value is None or not np.isfinite(value) else float(value)
