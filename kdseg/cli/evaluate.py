"""``kdseg evaluate``: a trained network on the test cases."""

from __future__ import annotations

import argparse
import json

from kdseg.cli.bundle_options import DATALIST, DEVICE, check_device

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "what kdseg distill or train wrote: its folder, a bundle with weights, or an export"
    parser.add_argument("trained", help=text)
    parser.add_argument("--runtime", help="of an export, the format that is used: onnx, openvino, onnx_int8, …")
    parser.add_argument("--datalist", required=True, help=DATALIST)
    parser.add_argument("--section", default="test", help="section of the data list (default test)")
    parser.add_argument("--fold", type=int, help="of the list, for --section validation")
    parser.add_argument("--output-dir", help="where tables and pictures go; by default into the network's folder")
    parser.add_argument("--device", help=DEVICE)
    parser.add_argument("--no-mlflow", action="store_true", help="do not record it in MLflow")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(arguments: argparse.Namespace) -> int:
    from kdseg.configuration import start
    from kdseg.deploy import evaluate, open_folder

    start()
    device = check_device(arguments.device)
    of_list = arguments.datalist, arguments.section, arguments.fold
    trained, mlflow = open_folder(arguments.trained, arguments.runtime), not arguments.no_mlflow
    summary, folder = evaluate(trained, *of_list, arguments.output_dir, device, mlflow=mlflow)
    if arguments.json:
        print(json.dumps(summary))
        return 0
    from tabulate import tabulate

    rows = [[name, entry["mean"], entry["sd"], entry["count"]] for name, entry in summary["metrics"].items()]
    print(tabulate(rows, ["metric", "mean", "sd", "cases"], floatfmt=".4f", missingval="-"))
    if summary["whole_set"]:
        print("whole set: " + ", ".join(f"{name} {value:.4f}" for name, value in summary["whole_set"].items()))
    print(f"each case: {folder}/cases.csv, pictures: {folder}/overlays.png")
    return 0
