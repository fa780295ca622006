"""``kdseg evaluate``: a trained network on the test cases."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from kdseg.cli.bundle_options import add_bundle_arguments

    add_bundle_arguments(parser)
    parser.add_argument("--checkpoint", help="weights to measure; by default model.pt of --output-dir")
    parser.add_argument("--section", help="section of the data list; test by default")
    parser.add_argument("--teacher-network", action="store_true", help="the weights are the teacher's")
    parser.add_argument("--method", help="the method that the student was distilled with, for the records")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(arguments: argparse.Namespace) -> int:
    from kdseg.cli.bundle_options import bundle_settings, with_overlays
    from kdseg.configuration import bundle_folder, run_bundle

    trained_by = ["train_teacher"] if arguments.teacher_network else ["distill"] if arguments.method else []
    settings = bundle_settings(arguments, "checkpoint", "section", "method")
    layers = with_overlays(arguments, "train", *trained_by, "evaluate")
    # JSON stands alone: what is logged goes to the other stream
    with redirect_stdout(sys.stderr if arguments.json else sys.stdout):
        workflow = run_bundle(bundle_folder(arguments.bundle), layers, settings)
    folder = workflow.parser.get_parsed_content("evaluation_dir")
    summary = json.loads(Path(folder, "summary.json").read_text(encoding="utf-8"))
    if arguments.json:
        print(json.dumps(summary))
        return 0
    from tabulate import tabulate

    rows = [[name, entry["mean"], entry["sd"], entry["count"]] for name, entry in summary["metrics"].items()]
    print(tabulate(rows, ["metric", "mean", "sd", "cases"], floatfmt=".4f", missingval="-"))
    if summary["whole_set"]:
        print("whole set: " + ", ".join(f"{name} {value:.4f}" for name, value in summary["whole_set"].items()))
    print(f"each case: {folder}/cases.csv")
    return 0
