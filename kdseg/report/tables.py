"""The tables of a comparison, made once and shown in the page, in Markdown and in LaTeX alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kdseg.report.words import (
    NONE,
    counted,
    gain_with_interval,
    large,
    mean_with_spread,
    metric_name,
    number,
    p_value,
    share,
)
from kdseg.statistics.comparison import Comparison

__all__ = ["Cell", "Table", "flat_rows", "result_tables"]

FLAT = ["student", "arm", "group", "metric", "mean", "sd", "undefined", "infinite", "runs", "cases"]
FLAT += ["gain", "ci_low", "ci_high", "p", "p_uncorrected", "gap_closed", "gap_closed_low", "gap_closed_high"]
FLAT += ["params", "macs", "ms_per_image", "seconds"]


@dataclass(frozen=True)
class Cell:
    """What is printed, and the number that the table is sorted by; None for words."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Table:
    """A table: the first column names the row."""

    name: str
    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = field(default_factory=list)

    @property
    def numeric(self) -> list[bool]:
        """Which columns hold numbers, or would if they were known."""
        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.headers)
        return [
            any(cell.value is not None for cell in column) or all(cell.text == NONE for cell in column)
            for column in columns
        ]


def result_tables(comparison: Comparison, student: str, found: Mapping[str, Any]) -> list[Table]:
    """The tables of one student: the main one, all metrics, gains in all metrics, sites and classes where there are."""
    metric = comparison.key_metric
    tables = [_headline(student, found, metric), _metrics(student, found), _gains(student, found)]
    for name, kind in {"sites": "site", "classes": "class"}.items():
        if found[name]:
            tables.append(_groups(student, found[name], name, kind, metric))
    return [table for table in tables if table.rows]


def flat_rows(comparison: Comparison, students: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Plain numbers for programs: one row for each student, arm, group of cases and metric."""
    rows: list[dict[str, Any]] = []
    for student, found in students.items():
        for arm, entry in _arms(found).items():
            costs = {key: entry[key] for key in ("runs", "params", "macs", "ms_per_image", "seconds")}
            for metric, spread in entry["metrics"].items():
                values = {**spread, "cases": entry["cases"], **costs, **entry.get("comparisons", {}).get(metric, {})}
                rows.append({"student": student, "arm": arm, "group": "all", "metric": metric, **values})
            for kind in ("sites", "classes"):
                for label, group in found[kind].items():
                    part = group["methods"].get(arm, {"mean": group.get(arm)})
                    name = f"{kind}: {label}"
                    values = {"cases": group["cases"], **part}
                    rows.append(
                        {"student": student, "arm": arm, "group": name, "metric": comparison.key_metric, **values}
                    )
    return [{key: row.get(key) for key in FLAT} for row in rows]


def _arms(found: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {"teacher": found["teacher"], "alone": found["alone"], **found["methods"]}


def _label(arm: str) -> Cell:
    return Cell({"alone": "student alone"}.get(arm, arm))


def _headline(student: str, found: Mapping[str, Any], metric: str) -> Table:
    rows = []
    for arm, entry in _arms(found).items():
        compared = arm in found["methods"]
        rows.append(
            [
                _label(arm),
                Cell(mean_with_spread(entry["metrics"].get(metric), metric), entry.get(metric)),
                Cell(gain_with_interval(entry, metric), entry["gain"]) if compared else Cell(NONE),
                Cell(p_value(entry["p"]), entry["p"]) if compared else Cell(NONE),
                Cell(share(entry), entry["gap_closed"]) if compared else Cell(NONE),
                Cell(large(entry["params"]), entry["params"]),
                Cell(large(entry["macs"]), entry["macs"]),
                Cell(large(entry["ms_per_image"]), entry["ms_per_image"]),
            ]
        )
    headers = ["network", metric_name(metric), "gain (95 % interval)", "p", "gap closed", "parameters", "MACs", "ms"]
    runs = found["alone"]["runs"]
    notes = [
        f"Mean ± standard deviation over {counted(runs, 'run')} (folds × seeds) of each student; the gain is paired "
        f"over {counted(found['alone']['cases'], 'test case')} and over runs, and its interval and p carry the spread "
        f"of both; p is corrected after Holm for {counted(len(found['methods']), 'method')}; MACs: "
        "multiply-accumulates of one training patch; ms: milliseconds for one test image."
    ]
    return Table("headline", f"What each network reaches: {student}", headers, rows, notes)


def _metrics(student: str, found: Mapping[str, Any]) -> Table:
    names = [name for name, entry in found["alone"]["metrics"].items() if entry["mean"] is not None]
    rows = [
        [_label(arm), *(_spread(entry["metrics"].get(name), name) for name in names)]
        for arm, entry in _arms(found).items()
    ]
    notes = []
    for arm, entry in _arms(found).items():
        for name, spread in entry["metrics"].items():
            odd = [f"{spread[kind]} {kind}" for kind in ("undefined", "infinite") if spread[kind] and name in names]
            if odd:
                notes.append(f"{metric_name(name)}, {_label(arm).text}: {' and '.join(odd)} left out of the mean.")
    headers = ["network", *(metric_name(name) for name in names)]
    return Table("metrics", f"All metrics: {student}", headers, rows if names else [], notes)


def _spread(entry: Mapping[str, Any] | None, metric: str) -> Cell:
    return Cell(mean_with_spread(entry, metric), None if entry is None else entry["mean"])


def _gains(student: str, found: Mapping[str, Any]) -> Table:
    names = [name for name, entry in found["alone"]["metrics"].items() if entry["mean"] is not None]
    rows = []
    for arm, entry in found["methods"].items():
        compared = [(name, entry["comparisons"].get(name)) for name in names]
        cells = [
            Cell(NONE) if row is None or row["gain"] is None else Cell(gain_with_interval(row, name), row["gain"])
            for name, row in compared
        ]
        rows.append([_label(arm), *cells])
    notes = [
        "A positive gain is better in every column, of distances too. These intervals are not corrected for number."
    ]
    return Table(
        "gains",
        f"Gain over the student alone in every metric: {student}",
        ["method", *(metric_name(name) for name in names)],
        rows if names else [],
        notes,
    )


def _groups(student: str, groups: Mapping[str, Any], name: str, kind: str, metric: str) -> Table:
    arms = list(next(iter(groups.values()))["methods"])
    rows = []
    for arm in ("teacher", "alone"):
        cells = [Cell(number(group[arm], metric), group[arm]) for group in groups.values()]
        rows.append([_label(arm), *cells])
    for arm in arms:
        entries = [group["methods"][arm] for group in groups.values()]
        rows.append([_label(arm), *(_group_cell(entry, metric) for entry in entries)])
    headers = ["network", *(f"{label} ({counted(group['cases'], 'case')})" for label, group in groups.items())]
    notes = [
        f"Mean {metric_name(metric)}, then the gain over the student alone with its interval. To look at, not a test."
    ]
    return Table(name, f"By {kind}: {student}", headers, rows, notes)


def _group_cell(entry: Mapping[str, Any], metric: str) -> Cell:
    if entry["mean"] is None or entry["gain"] is None:
        return Cell(NONE)
    return Cell(f"{number(entry['mean'], metric)}; {gain_with_interval(entry, metric)}", entry["mean"])
