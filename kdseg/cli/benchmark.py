"""``kdseg benchmark``: what a step costs, what relations and students at once save, how long a picture takes."""

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
    latency = kinds.add_parser("latency", help="milliseconds of a picture: teacher and students in every runtime")
    latency.add_argument("--size", type=int, default=512, help="sides of the picture in pixels (default 512)")
    latency.add_argument("--threads", type=int, default=1, help="that each computes with (default 1)")
    latency.add_argument(
        "--formats", help="eager, onnx, openvino, onnx_int8, openvino_int8 (default: all that run here)"
    )
    for kind in (step, relations, fan_out, latency):
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
    elif arguments.kind == "latency":
        from kdseg.benchmark.latency import benchmark_latency

        formats = arguments.formats.split(",") if arguments.formats else None
        rows = benchmark_latency(arguments.size, arguments.threads, formats)
    else:
        from kdseg.benchmark.fan_out_cost import benchmark_fan_out

        rows = benchmark_fan_out()
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return 0
    from tabulate import tabulate

    print(tabulate(rows, "keys", floatfmt=".3g", missingval="-"))
    return 0
