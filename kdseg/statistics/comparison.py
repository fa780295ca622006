"""Reads what ``kdseg compare`` leaves in its folder, finished or half-finished."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from kdseg.errors import UserError

__all__ = ["FORMAT", "Comparison", "is_lower_better", "read_comparison"]

FORMAT = 1
KEYS = ["fold", "student", "arm", "seed", "case", "site"]
LOWER_IS_BETTER = ("hd95", "assd")


@dataclass(frozen=True)
class Comparison:
    """The content of a comparison's folder."""

    out: Path  # the folder
    settings: Mapping[str, Any]  # comparison.json
    cells: Sequence[Mapping[str, Any]]  # cells.json, one object for each trained network
    # cases.csv: text columns fold, student, arm, seed, case, site, then the metrics as numbers; empty as long as
    # no test case has been measured
    cases: pd.DataFrame

    @property
    def key_metric(self) -> str:
        return str(self.settings.get("key_metric", "dice"))

    @property
    def classes(self) -> list[str]:
        """Names of the classes where there are several, else none."""
        names = list(self.settings.get("classes") or [])
        return names if len(names) > 1 else []

    @property
    def metrics(self) -> list[str]:
        """Metric columns over all classes, the key metric first."""
        columns = [name for name in self.cases.columns if name not in KEYS]
        of_classes = {f"{name}_{label}" for name in columns for label in self.classes}
        names = [name for name in columns if name not in of_classes]
        return sorted(names, key=lambda name: name != self.key_metric)

    @property
    def students(self) -> list[str]:
        """Names of the students, in the order in which they were asked for."""
        asked = [str(name) for name in self.settings.get("students") or []]
        seen = [str(cell["student"]) for cell in self.cells if cell["student"]] + list(self.cases["student"])
        return list(dict.fromkeys(name for name in [*asked, *seen] if name))

    def cells_of(self, arm: str, student: str, state: str = "finished") -> list[Mapping[str, Any]]:
        """The cells of an arm in that state. The teacher's cells belong to no student."""
        owner = "" if arm == "teacher" else student
        return [
            cell for cell in self.cells if (cell["arm"], cell["student"] or "", cell["state"]) == (arm, owner, state)
        ]

    def arms(self, student: str) -> list[str]:
        """The arms of a student besides teacher and alone: methods and their variants, in the order of the cells."""
        cells = [str(cell["arm"]) for cell in self.cells if cell["student"] == student]
        measured = list(self.cases.loc[self.cases["student"] == student, "arm"])
        return [arm for arm in dict.fromkeys(cells + measured) if arm not in ("teacher", "alone")]

    def histories(self, arm: str, student: str) -> Iterator[pd.DataFrame]:
        """The learning curves of the arm's finished cells: columns epoch, step, name, value."""
        for cell in self.cells_of(arm, student):
            path = self.out / str(cell["folder"]) / "history.csv"
            if path.is_file():
                yield pd.read_csv(path)


def is_lower_better(metric: str) -> bool:
    """Whether a smaller value of a metric column is the better one, as it is for distances.

    Example:
        >>> is_lower_better("hd95_mm"), is_lower_better("dice")
        (True, False)
    """
    return metric.startswith(LOWER_IS_BETTER)


def read_comparison(out: str | Path) -> Comparison:
    """Read a comparison's folder.

    Raises:
        UserError: it holds no comparison, one of another format, or a file that is broken.
    """
    out = Path(out)
    if not (out / "comparison.json").is_file():
        expected = "the output folder of 'kdseg compare'"
        raise UserError(out, found="no comparison.json", expected=expected, fix="give the folder that was its --out")
    settings = _read_json(out / "comparison.json")
    if not isinstance(settings, dict) or settings.get("format") != FORMAT:
        found = settings.get("format") if isinstance(settings, dict) else type(settings).__name__
        fix = "read it with the version of kdseg that wrote it, or run the comparison again in another folder"
        raise UserError(out / "comparison.json", found=f"format {found!r}", expected=f"format {FORMAT}", fix=fix)
    cells = _read_json(out / "cells.json") if (out / "cells.json").is_file() else []
    return Comparison(out, settings, cells, _read_cases(out / "cases.csv"))


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        found = f"no JSON ({error})"
        raise UserError(path, found=found, expected="JSON as 'kdseg compare' writes it", fix="run it again") from error


def _read_cases(path: Path) -> pd.DataFrame:
    if not path.is_file():
        return pd.DataFrame(columns=KEYS, dtype=str)
    # as text first: a case may be called NA or 007
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    missing = [name for name in KEYS if name not in frame.columns]
    if missing:
        found, fix = f"no column {', '.join(missing)}", "run 'kdseg compare' again: it measures what is missing"
        raise UserError(path, found=found, expected=f"the columns {', '.join(KEYS)}", fix=fix)
    metrics = frame.columns.difference(KEYS)
    try:
        frame[metrics] = frame[metrics].replace("", "nan").astype(float)
    except ValueError as error:
        raise UserError(path, found=str(error), expected="numbers, nan or inf", fix="mend that cell") from error
    repeated = frame[frame.duplicated(KEYS[:-1])]
    if len(repeated):
        found, expected = f"case {repeated['case'].iloc[0]!r} twice in one cell", "one row a case"
        raise UserError(path, found=found, expected=expected, fix="delete the file and run 'kdseg compare' again")
    return frame
