"""``kdseg predict``: masks for a file or a folder."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from kdseg.cli.bundle_options import add_bundle_arguments

    add_bundle_arguments(parser, datalist=False)
    parser.add_argument("source", help="a DICOM, NIfTI or picture file, or a folder of them")
    parser.add_argument("--checkpoint", help="the student's weights; by default the bundle's models/model.ts or .pt")
    parser.add_argument("--frame", help="all, best, or the number of a frame of a cine")
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")


def run(arguments: argparse.Namespace) -> int:
    from kdseg.cli.bundle_options import bundle_settings, with_overlays
    from kdseg.configuration import bundle_folder, run_bundle

    folder = bundle_folder(arguments.bundle)
    settings = bundle_settings(arguments, "checkpoint")
    if "checkpoint" not in settings:
        settings["checkpoint"] = _own_weights(folder)
    settings["dataset_dir"] = arguments.source
    if arguments.frame is not None:
        settings["frame"] = int(arguments.frame) if arguments.frame.isdigit() else arguments.frame
    # the files that cannot be read are told below, with an exit code, instead of by the configuration's last line
    settings["run"] = [
        "$@is_torchscript or kdseg.distill.load_weights(@network, @checkpoint)",
        "$@evaluator.run()",
    ]
    layers = with_overlays(arguments, "inference", "inference_dicom")
    # JSON stands alone: what is logged goes to the other stream
    with redirect_stdout(sys.stderr if arguments.json else sys.stdout):
        workflow = run_bundle(folder, layers, settings, kind="infer")
    dataset = workflow.parser.get_parsed_content("dataset")
    output = workflow.parser.get_parsed_content("output_dir")
    if arguments.json:
        print(json.dumps({"output_dir": output, "segmented": dataset.given, "set_aside": dataset.failures}))
    else:
        print(f"{dataset.given} file{'s' * (dataset.given != 1)} segmented, masks in {output}")
        for failure in dataset.failures:
            print(f"set aside: {failure}")
    return 1 if dataset.failures else 0


def _own_weights(folder: Path) -> str:
    """The weights that a bundle has in its models folder."""
    from kdseg.errors import UserError

    for name in ("model.ts", "model.pt"):
        if (folder / "models" / name).is_file():
            return str(folder / "models" / name)
    raise UserError(
        "--checkpoint",
        found=f"none, and no weights in {folder / 'models'}",
        expected="the weights of a student",
        fix="train one and name its model.pt, for instance --checkpoint out/student/model.pt",
    )
