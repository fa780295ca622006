"""The tables of a comparison, made once and shown in the page, the terminal, Markdown and LaTeX alike."""

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
    signed,
    then_gain,
)

__all__ = ["Cell", "Table", "arms_of", "flat_rows", "result_tables"]

PROTOCOL = (
    "The HD95 of TransUNet's protocol counts a missed organ as 0: for published tables, beside the real distance."
)
COSTS = ["params", "macs", "ms_per_image", "seconds"]
FLAT = ["student", "arm", "group", "metric", "mean", "sd", "undefined", "infinite", "runs", "cases"]
FLAT += ["gain", "ci_low", "ci_high", "p", "p_uncorrected", "gap_closed", "gap_closed_low", "gap_closed_high", *COSTS]


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

    def written(self, form: str) -> str:
        """The table in a form of tabulate: "simple" for the terminal, "pipe" for Markdown, "latex_booktabs"."""
        from tabulate import tabulate

        bar = "\\|" if form == "pipe" else "|"
        cells = [[cell.text.replace("|", bar) for cell in row] for row in self.rows]
        sides = ["right" if numeric else "left" for numeric in self.numeric]
        return tabulate(cells, self.headers, form, disable_numparse=True, colalign=sides if cells else None)


def result_tables(student: str, found: Mapping[str, Any], metric: str) -> list[Table]:
    """The tables of one student: the main one, all metrics, gains in all metrics, sites and classes where there are,
    and whether the trainings were long enough.

    Args:
        student: its name.
        found: its results.
        metric: the key metric.
    """
    tables = [_headline(student, found, metric), _metrics(student, found), _gains(student, found)]
    tables.append(_patience(student, found))
    for name, kind in {"sites": "site", "classes": "class"}.items():
        if found[name]:
            tables.append(_groups(student, found[name], name, kind, metric))
    return [table for table in tables if table.rows]


def flat_rows(students: Mapping[str, Mapping[str, Any]], metric: str) -> list[dict[str, Any]]:
    """Plain numbers for programs: one row for each student, arm, group of cases and metric."""
    rows: list[dict[str, Any]] = []
    for student, found in students.items():
        for arm, entry in arms_of(found).items():
            of_arm = {"student": student, "arm": arm}
            fixed = {key: entry[key] for key in ("runs", "cases", *COSTS)}
            for name, spread in entry["metrics"].items():
                compared = entry.get("comparisons", {}).get(name, {})
                rows.append({**of_arm, "group": "all", "metric": name, **spread, **fixed, **compared})
            for kind in ("sites", "classes"):
                for label, group in found[kind].items():
                    part = group["methods"].get(arm, {"mean": group.get(arm)})
                    place = {"group": f"{kind}: {label}", "metric": metric, "cases": group["cases"]}
                    rows.append({**of_arm, **place, **part})
    return [{key: row.get(key) for key in FLAT} for row in rows]


def arms_of(found: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Every arm of a student's results: teacher, student alone, methods."""
    return {"teacher": found["teacher"], "alone": found["alone"], **found["methods"]}


def _label(arm: str) -> Cell:
    return Cell({"alone": "student alone"}.get(arm, arm))


def _headline(student: str, found: Mapping[str, Any], metric: str) -> Table:
    rows = []
    for arm, entry in arms_of(found).items():
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
    names = _known_metrics(found)
    rows, notes = [], [PROTOCOL] if "hd95_transunet" in names else []
    for arm, entry in arms_of(found).items():
        spreads = {name: entry["metrics"].get(name) for name in names}
        cells = [Cell(mean_with_spread(one, name), one and one["mean"]) for name, one in spreads.items()]
        rows.append([_label(arm), *cells])
        for name, one in spreads.items():
            odd = [f"{one[kind]} {kind}" for kind in ("undefined", "infinite") if one[kind]] if one else []
            if odd:
                notes.append(f"{metric_name(name)}, {_label(arm).text}: {' and '.join(odd)} left out of the mean.")
    headers = ["network", *(metric_name(name) for name in names)]
    return Table("metrics", f"All metrics: {student}", headers, rows if names else [], notes)


def _gains(student: str, found: Mapping[str, Any]) -> Table:
    names = _known_metrics(found)
    rows = []
    for arm, entry in found["methods"].items():
        compared = [(name, entry["comparisons"].get(name)) for name in names]
        cells = [Cell(gain_with_interval(row, name), row["gain"]) if row else Cell(NONE) for name, row in compared]
        rows.append([_label(arm), *cells])
    notes = ["A positive gain is better in every column, of distances too. These are not corrected for their number."]
    headers = ["method", *(metric_name(name) for name in names)]
    title = f"Gain over the student alone in every metric: {student}"
    return Table("gains", title, headers, rows if names else [], notes)


def _patience(student: str, found: Mapping[str, Any]) -> Table:
    rows = []
    for arm, entry in arms_of(found).items():
        long = entry["patience"]
        if long["last_quarter_gain"] is not None:
            stopped = "has stopped improving" if long["has_stopped"] else "was still improving"
            kind = "the spread between seeds" if long["threshold_from"] == "seeds" else "stated: one seed"
            gain, least = long["last_quarter_gain"], long["threshold"]
            rows.append([_label(arm), Cell(signed(gain), gain), Cell(number(least), least), Cell(kind), Cell(stopped)])
    headers = ["network", "gain of the last quarter", "counts from", "which is", "the training"]
    notes = [
        "Mean of the last quarter of the validations less that of the quarter before it, over all runs. An arm that "
        "was still improving was cut off: a longer training may change what is said of it. With a learning rate that "
        "falls to zero every training comes to rest; whether a longer one reaches more is seen by training longer."
    ]
    return Table("patience", f"Was the training long enough: {student}", headers, rows, notes)


def _known_metrics(found: Mapping[str, Any]) -> list[str]:
    """The metrics of the student alone that have a value; a protocol's distance never without the real one."""
    names = [name for name, entry in found["alone"]["metrics"].items() if entry["mean"] is not None]
    honest = any(name in ("hd95_px", "hd95_mm") for name in names)
    return [name for name in names if honest or name != "hd95_transunet"]


def _groups(student: str, groups: Mapping[str, Any], name: str, kind: str, metric: str) -> Table:
    rows = [
        [_label(arm), *(Cell(number(group[arm], metric), group[arm]) for group in groups.values())]
        for arm in ("teacher", "alone")
    ]
    for arm in next(iter(groups.values()))["methods"]:
        entries = [group["methods"][arm] for group in groups.values()]
        cells = [Cell(number(entry["mean"], metric) + then_gain(entry, metric), entry["mean"]) for entry in entries]
        rows.append([_label(arm), *cells])
    headers = ["network", *(f"{label} ({counted(group['cases'], 'case')})" for label, group in groups.items())]
    notes = [
        f"Mean {metric_name(metric)}, then the gain over the student alone with its interval. To look at, not a test."
    ]
    return Table(name, f"By {kind}: {student}", headers, rows, notes)
