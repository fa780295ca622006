"""Writes the report of a comparison and its tables, from the files in its folder alone."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from kdseg.files import whole_file
from kdseg.report.details import standing_table
from kdseg.report.few_labels import few_labels, few_labels_table
from kdseg.report.page import render_page
from kdseg.report.tables import Table, flat_rows, result_tables
from kdseg.statistics.comparison import read_comparison
from kdseg.statistics.results import of_students, statistics_of

__all__ = ["headline_text", "write_report"]

LATEX_HEAD = "% needs \\usepackage{booktabs}; made by kdseg report\n"


def write_report(out: str | Path) -> None:
    """Write ``report.html``, ``results.json`` and ``tables.csv``, ``.md`` and ``.tex`` into the folder.

    Args:
        out: the output folder of ``kdseg compare``, finished or half-finished. docs/report.md explains the content.

    Raises:
        UserError: it is no such folder, of another format, broken, or cannot be written to.
    """
    comparison = read_comparison(out)
    found = statistics_of(comparison)
    students, metric = of_students(comparison, found), comparison.key_metric
    tables = [table for name, entry in students.items() for table in result_tables(name, entry, metric)]
    labels = few_labels(comparison, students)
    tables += [few_labels_table(name, parts, metric) for name, parts in labels.items()]
    tables += [standing_table(comparison)]
    contents = {
        "results.json": json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "tables.csv": pd.DataFrame(flat_rows(students, metric)).to_csv(index=False),
        "tables.md": "\n".join(_markdown(table) for table in tables),
        "tables.tex": LATEX_HEAD + "\n".join(_latex(table) for table in tables),
        "report.html": render_page(comparison, found, students, labels),
    }
    for name, text in contents.items():
        with whole_file(Path(out) / name) as path:
            path.write_text(text, encoding="utf-8")


def headline_text(out: str | Path) -> str:
    """The main tables of a written report, one a student, for the terminal."""
    comparison = read_comparison(out)
    found = of_students(comparison, json.loads((comparison.out / "results.json").read_text(encoding="utf-8")))
    tables = [result_tables(name, entry, comparison.key_metric)[0] for name, entry in found.items()]
    return "\n".join(f"{table.title}\n\n{table.written('simple')}\n" for table in tables) or "no results yet"


def _markdown(table: Table) -> str:
    return "\n\n".join([f"## {table.title}", table.written("pipe"), *table.notes, ""])


def _latex(table: Table) -> str:
    # a minus sign is no letter that LaTeX knows
    words = [f"% {text}" for text in (table.title, *table.notes)]
    return "\n".join([*words, table.written("latex_booktabs").replace("−", "$-$"), ""])
