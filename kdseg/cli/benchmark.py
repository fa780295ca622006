"""``kdseg benchmark``: what a distillation step costs, what the exact relations save, what students at once cost."""

from __future__ import annotations

import argparse
import json

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    step = kinds.add_parser("step", help="the training step of a method against its student's and teacher's alone")
    step.add_argument("--method", default="all", help="name of a method, 'kd from soft labels', or all (the default)")
    relations = kinds.add_parser("relations", help="relational terms against their form with all pairs of positions")
    fan_out = kinds.add_parser("fan-out", help="several students with one teacher, against each by itself")
    for kind in (step, relations, fan_out):
        kind.add_argument("--json", action="store_true", help="print a list of objects")
        # here too, since what follows the kind is the kind's
        kind.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def run(arguments: argparse.Namespace) -> int:
    if arguments.kind == "step":
        from kdseg.benchmark.step_cost import benchmark_step

        rows = benchmark_step(None if arguments.method == "all" else [arguments.method])
    elif arguments.kind == "relations":
        from kdseg.benchmark.relations_cost import benchmark_relations

        rows = benchmark_relations()
    else:
        from kdseg.benchmark.fan_out_cost import benchmark_fan_out

        rows = benchmark_fan_out()
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return 0
    from tabulate import tabulate

    print(tabulate(rows, "keys", floatfmt=".3g", missingval="-"))
    return 0
