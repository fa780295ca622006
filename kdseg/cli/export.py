"""``kdseg export``: a student as ONNX, OpenVINO and others, measured on real cases before it is kept."""

from __future__ import annotations

import argparse
import json
import sys

__all__ = ["add_arguments", "run"]

# a web page has some thirty files
MOST_NAMES = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("student", help="what kdseg distill or train wrote, or a bundle with weights in models/")
    parser.add_argument(
        "--to",
        default="onnx",
        help="onnx (default), openvino, torchscript, exported, bundle, web, mlflow; several with commas",
    )
    parser.add_argument(
        "--datalist", required=True, help="data list, whose validation cases the models are measured on"
    )
    parser.add_argument("--out", required=True, help="a new folder")
    parser.add_argument("--int8", action="store_true", help="8-bit forms as well, calibrated on training cases")
    parser.add_argument(
        "--output", default="logits", help="logits (default, what kdseg predict takes), probabilities or classes"
    )
    parser.add_argument("--dice-limit", type=float, default=0.01, help="the Dice that int8 may lose (default .01)")
    parser.add_argument("--single-file", action="store_true", help="the web page as one file that opens from the disk")
    parser.add_argument(
        "--runtime-package",
        action="append",
        default=[],
        metavar="FILE.tgz",
        dest="runtime_packages",
        help="an npm package of the web page that was fetched elsewhere (may be repeated); npm fetches the others",
    )
    parser.add_argument("--json", action="store_true", help="print what was written and measured as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0: every format is there; 1: some were refused, and are named."""
    from kdseg.configuration import start
    from kdseg.deploy.export import export
    from kdseg.task import open_trained

    start()
    done = export(
        open_trained(arguments.student),
        arguments.datalist,
        arguments.out,
        [word.strip() for word in arguments.to.split(",") if word.strip()],
        arguments.int8,
        arguments.output,
        arguments.dice_limit,
        arguments.single_file,
        arguments.runtime_packages,
    )
    if arguments.json:
        print(json.dumps({"path": str(done.path), **done.content, "refused": done.refused}))
    else:
        from tabulate import tabulate

        print(tabulate([_row(name, entry) for name, entry in done.content["formats"].items()], "keys", missingval="-"))
        print(f"{done.path}: task.json, export.json, README.md and the models")
        for name, reason in done.refused.items():
            print(f"refused: {name}: {reason}", file=sys.stderr)
    return 1 if done.refused else 0


def _row(name: str, entry: dict) -> dict:
    parity, names = entry.get("parity", {}), [one["name"] for one in entry["files"]]
    return {
        "format": name,
        "files": " ".join(names) if len(names) <= MOST_NAMES else f"{names[0]} and {len(names) - 1} more",
        "greatest difference": (parity and f"{parity['max_difference']:.2g}") or None,
        "Dice of the masks": (parity and f"{parity['dice']:.5f}") or None,
        "Dice lost": f"{entry['dice_lost']:+.4f}" if "dice_lost" in entry else None,
    }
