"""``kdseg report``: the report of a comparison, written again from its folder."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", help="the output folder of kdseg compare, finished or half-finished")
    parser.add_argument("--json", action="store_true", help="print the content of results.json")


def run(arguments: argparse.Namespace) -> int:
    from kdseg.report import headline_text, write_report

    write_report(arguments.out)
    if arguments.json:
        print(Path(arguments.out, "results.json").read_text(encoding="utf-8"), end="")
        return 0
    print(headline_text(arguments.out))
    print(f"the report: {Path(arguments.out, 'report.html')}")
    return 0
