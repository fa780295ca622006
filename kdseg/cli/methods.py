"""``kdseg methods``: the distillation methods, their terms and where they come from."""

from __future__ import annotations

import argparse
import json
import sys

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print a list of objects")


def run(arguments: argparse.Namespace) -> int:
    from tabulate import tabulate

    from kdseg.distill import METHODS, describe_method

    rows = [describe_method(name) for name in METHODS]
    for error in METHODS.broken.values():
        print(f"left out: {error}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return 0
    table = []
    for row in rows:
        labels = "yes" if row["needs_labels"] else "no"
        names = (", ".join(row["terms"]), ", ".join(row["taps"]))
        table.append([row["name"], *names, labels, row["standing"], row["paper"]])
    print(tabulate(table, ["method", "terms", "taps", "labels", "standing", "paper"]))
    return 0
