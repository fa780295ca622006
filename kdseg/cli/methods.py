"""``kdseg methods``: the distillation methods, their terms and where they come from."""

from __future__ import annotations

import argparse
import json
import sys

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def run(arguments: argparse.Namespace) -> int:
    from kdseg.distill import METHODS, describe_method
    from kdseg.report.table import text_table

    rows = [describe_method(name) for name in METHODS]
    for error in METHODS.broken.values():
        print(f"left out: {error}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return 0
    columns = ["method", "terms", "taps", "labels", "standing", "paper"]
    print(
        text_table(
            [
                [
                    row["name"],
                    ", ".join(row["terms"]),
                    ", ".join(row["taps"]),
                    "yes" if row["needs_labels"] else "no",
                    row["standing"],
                    row["paper"],
                ]
                for row in rows
            ],
            columns,
        )
    )
    return 0
