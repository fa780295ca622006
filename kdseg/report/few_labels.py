"""What the number of labelled patients does: the parts of a comparison with few labels, beside the whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdseg.report.tables import Cell, Table, arms_of
from kdseg.report.words import metric_name, number, then_gain
from kdseg.statistics.comparison import Comparison, read_comparison
from kdseg.statistics.results import of_students, statistics_of

__all__ = ["Parts", "few_labels", "few_labels_table"]

Parts = Mapping[str, Mapping[str, Any]]
"""Number of labelled patients → results of that part; "all" is the comparison itself."""


def few_labels(comparison: Comparison, students: Mapping[str, Mapping[str, Any]]) -> dict[str, Parts]:
    """The parts of each student; none where there are no folders ``labelled_N``, each a comparison of its own.

    Args:
        comparison: the whole.
        students: its results by student.
    """
    counts = sorted(int(path.parent.name[9:]) for path in comparison.out.glob("labelled_*[0-9]/comparison.json"))
    parts = [read_comparison(comparison.out / f"labelled_{count}") for count in counts]
    found = {count: of_students(part, statistics_of(part)) for count, part in zip(counts, parts, strict=True)}
    return {
        name: {**{str(count): part[name] for count, part in found.items() if name in part}, "all": whole}
        for name, whole in students.items()
        if found
    }


def few_labels_table(student: str, parts: Parts, metric: str) -> Table:
    """A row a network, a column for each number of labelled patients: the mean and the gain."""
    rows = []
    for arm in dict.fromkeys(arm for part in parts.values() for arm in arms_of(part)):
        entries = [arms_of(part).get(arm, {}) for part in parts.values()]
        cells = [
            Cell(number(entry.get(metric), metric) + then_gain(entry, metric), entry.get(metric)) for entry in entries
        ]
        rows.append([Cell({"alone": "student alone"}.get(arm, arm)), *cells])
    notes = [f"Mean {metric_name(metric)}, then the gain over the student alone with the same labels and its interval."]
    headers = ["network", *(f"{count} labelled" for count in parts)]
    return Table("few_labels", f"By number of labelled patients: {student}", headers, rows, notes)
