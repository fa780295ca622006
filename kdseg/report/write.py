"""Writes the report of a comparison and its tables, from the files in its folder alone."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kdseg.files import whole_file
from kdseg.report.details import standing_table
from kdseg.report.few_labels import few_labels, few_labels_table
from kdseg.report.page import render_page
from kdseg.report.table import markdown_table, text_table
from kdseg.report.tables import Table, flat_rows, result_tables
from kdseg.statistics.comparison import read_comparison
from kdseg.statistics.results import statistics_of

__all__ = ["headline_text", "write_report"]

KEYS = ("teacher", "alone", "methods", "sites", "classes")
LATEX_HEAD = "% needs \\usepackage{booktabs}; made by kdseg report\n"
LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "−": "$-$",
    "×": r"$\times$",
    "–": "--",
}


def write_report(out: str | Path) -> None:
    """Write ``report.html``, ``results.json`` and ``tables.csv``, ``.json``, ``.md`` and ``.tex`` into the folder.

    Args:
        out: the output folder of ``kdseg compare``, finished or half-finished. docs/report.md explains the content.

    Raises:
        UserError: it is no such folder, of another format, broken, or cannot be written to.
    """
    comparison = read_comparison(out)
    found = statistics_of(comparison)
    of_first = {name: {key: found[key] for key in KEYS} for name in comparison.students[:1] if "sites" in found}
    students: Mapping[str, Mapping[str, Any]] = found.get("students", of_first)
    tables = [table for name, entry in students.items() for table in result_tables(comparison, name, entry)]
    labels = few_labels(comparison, students)
    tables += [few_labels_table(name, parts, comparison.key_metric) for name, parts in labels.items()]
    tables += [standing_table(comparison)]
    contents = {
        "results.json": json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "tables.csv": _csv(flat_rows(comparison, students)),
        "tables.json": json.dumps([_plain(table) for table in tables], indent=1, ensure_ascii=False) + "\n",
        "tables.md": "\n".join(_markdown(table) for table in tables),
        "tables.tex": LATEX_HEAD + "\n".join(_latex(table) for table in tables),
        "report.html": render_page(comparison, found, students, labels),
    }
    for name, text in contents.items():
        with whole_file(Path(out) / name) as path:
            path.write_text(text, encoding="utf-8")


def headline_text(out: str | Path) -> str:
    """The main tables of a written report, one a student, for the terminal."""
    tables = json.loads((Path(out) / "tables.json").read_text(encoding="utf-8"))
    parts = []
    for table in tables:
        if table["name"] == "headline":
            rows = [[_text(cell) for cell in row.values()] for row in table["rows"]]
            parts.append(f"{table['title']}\n\n{text_table(rows, list(table['rows'][0]))}\n")
    return "\n".join(parts) or "no results yet"


def _text(cell: str | Mapping[str, Any]) -> str:
    return cell if isinstance(cell, str) else str(cell["text"])


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    stream = io.StringIO()
    if rows:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return stream.getvalue()


def _plain(table: Table) -> dict[str, Any]:
    rows = [
        {
            header: {"text": cell.text, "value": cell.value} if cell.value is not None else cell.text
            for header, cell in zip(table.headers, row, strict=True)
        }
        for row in table.rows
    ]
    return {"name": table.name, "title": table.title, "rows": rows, "notes": list(table.notes)}


def _markdown(table: Table) -> str:
    body = markdown_table([[cell.text for cell in row] for row in table.rows], table.headers)
    return "\n\n".join([f"## {table.title}", body, *table.notes, ""])


def _latex(table: Table) -> str:
    columns = "".join("r" if numeric else "l" for numeric in table.numeric)
    head = " & ".join(map(_escaped, table.headers))
    body = [" & ".join(_escaped(cell.text) for cell in row) + r" \\" for row in table.rows]
    lines = [r"\begin{table}", rf"\caption{{{_escaped(' '.join([table.title + '.', *table.notes]))}}}"]
    lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", rf"{head} \\", r"\midrule", *body]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}", ""])


def _escaped(text: str) -> str:
    return "".join(LATEX_ESCAPES.get(sign, sign) for sign in text)
