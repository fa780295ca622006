"""``kdseg benchmark``: what a distillation step costs, and what the exact relations save."""

from __future__ import annotations

import argparse
import json
from typing import Any

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    step = kinds.add_parser("step", help="the training step of a method against its student's and teacher's alone")
    step.add_argument("--method", default="all", help="name of a method, or all (the default)")
    relations = kinds.add_parser("relations", help="relational terms against their form with all pairs of positions")
    for kind in (step, relations):
        kind.add_argument("--json", action="store_true", help="print a list of objects")
        # here too, since what follows the kind is the kind's
        kind.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    if arguments.kind == "step":
        from kdseg.experiments.benchmark_step import benchmark_step

        rows = benchmark_step(None if arguments.method == "all" else [arguments.method])
    else:
        from kdseg.experiments.benchmark_relations import benchmark_relations

        rows = benchmark_relations()
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return 0
    from kdseg.experiments.table import text_table

    print(text_table([[_cell(value) for value in row.values()] for row in rows], list(rows[0])))
    return 0


def _cell(value: Any) -> object:
    if value is None:
        return "-"
    return float(f"{value:.3g}") if isinstance(value, float) else value
