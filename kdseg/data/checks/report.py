"""Cases opened, measured and judged: for ``kdseg prepare``, and for a data list as a whole, as ``kdseg check`` does."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdseg.data.checks.comparisons import set_findings
from kdseg.data.checks.findings import ERROR, Finding, regraded
from kdseg.data.checks.loading import LoadedCase, load_case
from kdseg.data.checks.measures import CaseMeasures, case_findings, measure_case
from kdseg.data.lists.datalist import Record, read_datalist
from kdseg.data.open import file_stem
from kdseg.errors import UserError

__all__ = ["QualityReport", "check_datalist", "check_records"]


@dataclass(frozen=True)
class QualityReport:
    """What a check has measured and found."""

    counts: dict[str, int]  # cases by section
    labels: dict[str, str]  # value → name
    cases: list[CaseMeasures]  # the figures of every case that can be read
    findings: list[Finding]  # errors first
    sheets: list[Path]  # contact sheets that were written

    @property
    def errors(self) -> int:
        """The number of findings that are errors."""
        return sum(finding.grade == ERROR for finding in self.findings)


def check_records(
    records: Sequence[tuple[str, Record]],
    labels: Mapping[str, str],
    *,
    frame: int | str = "best",
    level: int = 0,
    kind: str | None = None,
    progress: bool = False,
    show: Callable[[Record, str, LoadedCase], None] | None = None,
) -> tuple[list[CaseMeasures], list[Finding]]:
    """Open and measure cases one by one.

    Args:
        records: section and record of each; absolute paths, each with a "case".
        labels: value → name.
        frame, level, kind: see :func:`kdseg.data.checks.loading.load_case`.
        progress: show a progress bar, on a terminal only.
        show: told every case that can be read.

    Returns:
        the figures of the cases that can be read, and what is wrong with each case by itself.
    """
    from tqdm import tqdm

    cases: list[CaseMeasures] = []
    findings: list[Finding] = []
    for section, record in tqdm(records, desc="checking", unit="case", leave=False, disable=None if progress else True):
        try:
            loaded = load_case(record, labels, frame, level, kind)
        except UserError as error:
            findings.append(Finding(ERROR, "image unusable", (record["case"],), error.found))
            continue
        cases.append(measure_case(record, section, loaded, labels))
        findings += case_findings(cases[-1], loaded, labels)
        if show is not None:
            show(record, section, loaded)
    return cases, findings


def check_datalist(path: str | Path, out: str | Path | None = None, progress: bool = False) -> QualityReport:
    """Open, measure and compare the cases of all sections of a data list.

    Args:
        path: the list, as ``kdseg prepare`` writes it, or any MSD list.
        out: a folder for contact sheets; None writes none.
        progress: show a progress bar, on a terminal only.

    Raises:
        UserError: when the list is missing, no data list, or has no cases; when ``out`` cannot be written. Files that
            are missing or damaged are findings.
    """
    path = Path(path)
    content = read_datalist(path)
    labels = {str(value): str(name) for value, name in (content.get("labels") or {}).items()}
    records = _records(content, path)
    if not records:
        raise UserError(path.name, found="no cases", expected="a data list", fix="make it with 'kdseg prepare'")
    panels = []

    def show(record: Record, section: str, loaded: LoadedCase) -> None:
        from kdseg.data.checks.sheet import panel_of

        panels.append((f"{record['case']} ({section})", record["case"], panel_of(loaded)))

    cases, findings = check_records(
        records,
        labels,
        frame=content.get("frame", "best"),
        level=content.get("level", 0),
        progress=progress,
        show=None if out is None else show,
    )
    findings += set_findings(cases)
    checks = content.get("checks")
    asked = {name: checks.get(name) or () for name in ("accept", "refuse")} if isinstance(checks, dict) else {}
    findings = regraded(findings, len(cases), **asked)
    sheets = []
    if out is not None:
        from kdseg.data.checks.sheet import write_sheets

        grades = {case: finding.grade for finding in reversed(findings) for case in finding.cases}
        shown = {structure.value: name for case in cases for name, structure in case.structures.items()}
        graded = [(title, grades.get(case), panel) for title, case, panel in panels]
        sheets = write_sheets(graded, dict(sorted(shown.items())), Path(out)) if graded else []
    counts = Counter(section for section, _ in records)
    return QualityReport(dict(counts), labels, cases, findings, sheets)


def _records(content: Mapping[str, Any], path: Path) -> list[tuple[str, Record]]:
    """Section and record of every case, with absolute paths and a name for each."""
    root = path.absolute().parent / content.get("root", ".")
    found = []
    for section, given in content.items():
        for entry in given if isinstance(given, list) else []:
            record = {"image": entry} if isinstance(entry, str) else dict(entry)
            if not isinstance(record.get("image"), str):
                continue
            record |= {key: os.path.normpath(root / record[key]) for key in ("image", "label") if key in record}
            record.setdefault("case", file_stem(Path(record["image"])))
            found.append((section, record))
    return found
