"""``kdseg check``: quality control of a data list."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from textwrap import shorten
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kdseg.data.checks.findings import Finding
    from kdseg.data.checks.measures import CaseMeasures

__all__ = ["add_arguments", "run"]

# findings of one kind that are printed one by one
SHOWN = 5
# structures of a case whose sizes are printed
NAMED = 3
# letters of a finding that are printed
LINE = 240


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("datalist", metavar="LIST", help="the data list, as kdseg prepare writes it")
    parser.add_argument("--out", metavar="DIR", help="write contact sheets: every case with the contours of its label")
    parser.add_argument("--json", action="store_true", help="print the figures of every case and all findings as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0: no errors, perhaps warnings; 1: errors."""
    from kdseg.data.checks.report import check_datalist

    report = check_datalist(arguments.datalist, arguments.out, progress=True)
    if arguments.json:
        content = {
            "counts": report.counts,
            "errors": report.errors,
            "warnings": len(report.findings) - report.errors,
            "findings": [asdict(finding) for finding in report.findings],
            "cases": [case.as_dict() for case in report.cases],
            "sheets": [str(sheet) for sheet in report.sheets],
        }
        print(json.dumps(content, indent=2, ensure_ascii=False))
        return 1 if report.errors else 0
    print(f"{arguments.datalist}: " + ", ".join(f"{count} {section}" for section, count in report.counts.items()))
    if report.cases:
        print(f"{_case_table(report.cases)}\n\n{_set_table(report.cases)}\n")
    _print_findings(report.findings)
    for sheet in report.sheets:
        print(f"contact sheet: {sheet}")
    warnings = len(report.findings) - report.errors
    numbers = [f"{report.errors} error{'s' * (report.errors != 1)}", f"{warnings} warning{'s' * (warnings != 1)}"]
    print(", ".join(numbers) if report.findings else "nothing to remark")
    return 1 if report.errors else 0


def _set_table(cases: Sequence[CaseMeasures]) -> str:
    """Least, middle and greatest of each figure over the set."""
    import numpy as np
    from tabulate import tabulate

    from kdseg.data.checks.measures import figure

    figures: dict[str, list[float]] = {}
    for case in cases:
        for (what, which, unit), value in case.figures().items():
            name = which if what == "size of a structure" else f"{what} {which}"
            figures.setdefault(f"{name}, {unit}" if unit else name, []).append(value)
    rows = [
        [name, *(figure(value) for value in (min(values), float(np.median(values)), max(values))), len(values)]
        for name, values in figures.items()
    ]
    headers = ["", "least", "median", "greatest", "cases"]
    return tabulate(rows, headers, disable_numparse=True, colalign=["left", *["right"] * 4])


def _case_table(cases: Sequence[CaseMeasures]) -> str:
    from tabulate import tabulate

    from kdseg.data.checks.measures import figure

    rows = [
        [
            case.case,
            case.section,
            "×".join(map(str, case.shape)),
            "×".join(map(figure, case.spacing)) if case.spacing else "unknown",
            f"{figure(case.intensity['min'])} to {figure(case.intensity['max'])}",
            _label(case),
        ]
        for case in cases
    ]
    headers = ["case", "section", "size", "spacing, mm", "intensity", "label"]
    return tabulate(rows, headers, disable_numparse=True)


def _label(case: CaseMeasures) -> str:
    """The sizes of the largest structures."""
    from kdseg.data.checks.measures import figure

    largest = sorted(case.structures.items(), key=lambda entry: -entry[1].size)
    words = [f"{name} {figure(structure.size)} {structure.unit}" for name, structure in largest[:NAMED]]
    if len(largest) > NAMED:
        words.append(f"{len(largest) - NAMED} more")
    return ", ".join(words) or ("empty" if case.labelled else "no label")


def _print_findings(findings: Sequence[Finding]) -> None:
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.grade, finding.kind), []).append(finding)
    for (grade, kind), group in groups.items():
        print(f"{grade}: {kind} ({len(group)})")
        for finding in group[:SHOWN]:
            cases = ", ".join(finding.cases[:SHOWN]) + (", …" if len(finding.cases) > SHOWN else "")
            text = shorten(finding.text, LINE, placeholder=" …; --json tells all")
            print(f"  {cases}: {text}" if cases else f"  {text}")
        if len(group) > SHOWN:
            print(f"  … and {len(group) - SHOWN} more; --json tells all")
