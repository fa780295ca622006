"""The tables behind the results: every case, every training, the methods, the settings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kdseg.report.tables import Cell, Table
from kdseg.report.words import NONE, metric_name, number
from kdseg.statistics.comparison import Comparison
from kdseg.statistics.results import case_values

__all__ = ["case_table", "runs_table", "settings_table", "standing_table"]

MOST_CASES_LISTED = 300


def case_table(comparison: Comparison, student: str) -> Table:
    """The key metric of every case and network."""
    metric = comparison.key_metric
    values = case_values(comparison, student, metric)
    headers = ["case", *({"alone": "student alone"}.get(arm, arm) for arm in values.columns)]
    rows = [
        [Cell(str(case)), *(Cell(number(value, metric), value) for value in row)]
        for case, row in zip(values.index, values.to_numpy().tolist(), strict=True)
    ]
    notes = [f"Mean {metric_name(metric)} over runs. cases.csv has every run and every metric."]
    if len(rows) > MOST_CASES_LISTED:
        notes.append(f"The first {MOST_CASES_LISTED} of {len(rows)} cases.")
    return Table("cases", f"Every case: {student}", headers, rows[:MOST_CASES_LISTED], notes)


def standing_table(comparison: Comparison) -> Table:
    """Where each method comes from, and whether its formulas are from the authors' code or from the paper's text."""
    from kdseg.distill import METHODS, describe_method

    rows = []
    standing = {str(cell["arm"]): cell.get("standing") for cell in comparison.cells}
    for arm in dict.fromkeys(arm for student in comparison.students for arm in comparison.arms(student)):
        # "kd+unlabelled" and "graph_flow[edges]" are variants of a method
        base = re.split(r"[+\[]", arm)[0]
        known = describe_method(base) if base in METHODS else {}
        terms = ", ".join(f"{name} × {term['weight']:g}" for name, term in known.get("terms", {}).items())
        texts = [arm, standing.get(arm) or known.get("standing") or NONE, known.get("paper", NONE), terms or NONE]
        rows.append([Cell(str(text)) for text in texts])
    notes = [
        "code: follows the authors' own code. reconstruction: built from the paper's text where no code is known. "
        "The terms are those of the method as it comes; the settings below say what was changed."
    ]
    return Table(
        "standing", "Where the methods come from", ["method", "standing", "paper", "terms × weight"], rows, notes
    )


def runs_table(comparison: Comparison) -> Table:
    """Every training, the failed ones with the reason."""
    headers = ["network", "student", "fold", "seed", "state", "best epoch", "steps", "seconds", "why it failed"]
    rows = []
    for cell in comparison.cells:
        words = [cell["arm"], cell["student"] or NONE, cell["fold"], cell["seed"], cell["state"]]
        numbers = [cell.get("best_epoch"), cell.get("steps"), cell.get("seconds")]
        rows.append(
            [
                *(Cell(NONE if word in (None, "") else str(word)) for word in words),
                *(Cell(NONE) if value is None else Cell(f"{value:,.0f}", float(value)) for value in numbers),
                Cell(str(cell.get("reason") or "")),
            ]
        )
    return Table("trainings", "Trainings", headers, rows)


def settings_table(comparison: Comparison) -> Table:
    """All that ``comparison.json`` says."""
    rows = [[Cell(key), Cell(value)] for key, value in _flat(comparison.settings)]
    return Table("settings", "Settings and versions", ["setting", "value"], rows)


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key} · ")
        elif isinstance(value, list) and all(isinstance(part, (str, int, float)) for part in value):
            yield f"{prefix}{key}".replace("_", " "), ", ".join(map(str, value)) or NONE
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield f"{prefix}{key}".replace("_", " "), NONE if value is None else text
