"""What the number of labelled patients does: the parts of a comparison with few labels, beside the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from kdseg.report.svg import Sheet, apart, linear_scale, linear_ticks
from kdseg.report.tables import Cell, Table
from kdseg.report.words import NONE, gain_with_interval, metric_name, number
from kdseg.statistics.comparison import Comparison, read_comparison
from kdseg.statistics.results import statistics_of

__all__ = ["Parts", "few_labels", "few_labels_chart", "few_labels_table"]

Parts = Mapping[str, Mapping[str, Any]]


def few_labels(comparison: Comparison, students: Mapping[str, Mapping[str, Any]]) -> dict[str, Parts]:
    """Student → number of labelled patients → results of that part; "all" is the comparison itself.

    Args:
        comparison: its folder may hold ``labelled_N`` folders, each a comparison of its own.
        students: the results of the whole comparison by student.

    Returns:
        An empty dictionary where there is no such folder.
    """
    folders = {int(path.name.removeprefix("labelled_")): path for path in _folders(comparison.out)}
    found: dict[str, dict[str, Mapping[str, Any]]] = {name: {} for name in students} if folders else {}
    for count in sorted(folders):
        part = statistics_of(read_comparison(folders[count]))
        for name in found:
            found[name][str(count)] = part.get("students", {}).get(name, part)
    for name in found:
        found[name]["all"] = students[name]
    return dict(found)


def few_labels_table(student: str, parts: Parts, metric: str) -> Table:
    """A row a network, a column for each number of labelled patients: the mean and the gain."""
    rows = []
    for arm in _arms(parts.values()):
        cells = []
        for part in parts.values():
            entry = {"teacher": part["teacher"], "alone": part["alone"], **part["methods"]}.get(arm, {})
            mean = entry.get(metric)
            gain = "" if entry.get("gain") is None else f"; {gain_with_interval(entry, metric)}"
            cells.append(Cell(NONE) if mean is None else Cell(number(mean, metric) + gain, mean))
        rows.append([Cell({"alone": "student alone"}.get(arm, arm)), *cells])
    notes = [f"Mean {metric_name(metric)}, then the gain over the student alone with the same labels and its interval."]
    headers = ["network", *(f"{count} labelled" for count in parts)]
    return Table("few_labels", f"By number of labelled patients: {student}", headers, rows, notes)


def few_labels_chart(student: str, parts: Parts, metric: str) -> Markup:
    """A line a network over the number of labelled patients; dashed where unlabelled images joined the training."""
    lines = {
        arm: [
            {"teacher": part["teacher"], "alone": part["alone"], **part["methods"]}.get(arm, {}).get(metric)
            for part in parts.values()
        ]
        for arm in _arms(parts.values())
    }
    values = [value for line in lines.values() for value in line if value is not None]
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = 0.06 * (high - low) or 0.01
    width, height, left, right = 960.0, 340.0, 60.0, 680.0
    up = linear_scale(low - room, high + room, height - 50, 14)
    across = linear_scale(0, len(parts) - 1, left + 30, right - 30)
    title = f"{metric_name(metric)} of {student} by number of labelled patients"
    sheet = Sheet(width, height, title, "; ".join(f"{arm}: {_said(line, metric)}" for arm, line in lines.items()))
    for tick in linear_ticks(low - room, high + room):
        sheet.line(left, up(tick), right, up(tick), "grid")
        sheet.text(left - 8, up(tick) + 4, number(tick, metric), "tick", "end")
    for index, count in enumerate(parts):
        sheet.text(across(index), height - 30, count, "tick", "middle")
    sheet.text((left + right) / 2, height - 8, "labelled patients", "axis", "middle")
    names = []
    for arm, line in lines.items():
        kind = arm if arm in ("teacher", "alone") else "distilled"
        points = [(across(index), up(value)) for index, value in enumerate(line) if value is not None]
        if points:
            dashed = " unlabelled" if "+unlabelled" in arm else ""
            sheet.path(points, f"curve {kind}{dashed}", f"{arm}: {_said(line, metric)}")
            for x, y in points:
                sheet.circle(x, y, 4.0, f"mark {kind}", arm)
            names.append((points[-1][1], arm))
    for (_, arm), y in zip(names, apart([place for place, _ in names]), strict=True):
        sheet.text(right + 12, y + 4, arm, "value")
    return sheet.markup


def _folders(out: Path) -> list[Path]:
    return [
        path.parent
        for path in out.glob("labelled_*/comparison.json")
        if path.parent.name.removeprefix("labelled_").isdigit()
    ]


def _arms(parts: Any) -> list[str]:
    arms = dict.fromkeys(arm for part in parts for arm in part["methods"])
    return ["teacher", "alone", *arms]


def _said(line: Sequence[float | None], metric: str) -> str:
    return ", ".join(number(value, metric) for value in line)
