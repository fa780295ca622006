"""``kdseg predict``: masks for a file or a folder."""

from __future__ import annotations

import argparse
import json

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
    shipped = [folder / "models" / name for name in ("model.ts", "model.pt")]
    settings.setdefault("checkpoint", str(next((path for path in shipped if path.is_file()), shipped[-1])))
    settings["dataset_dir"] = arguments.source
    if arguments.frame is not None:
        settings["frame"] = int(arguments.frame) if arguments.frame.isdigit() else arguments.frame
    # the files that cannot be read are told below, with an exit code, instead of by the configuration's last line
    settings["run"] = [
        "$@is_torchscript or kdseg.distill.load_weights(@network, @checkpoint)",
        "$@evaluator.run()",
    ]
    layers = with_overlays(arguments, "inference", "inference_dicom")
    workflow = run_bundle(folder, layers, settings, kind="infer")
    dataset = workflow.parser.get_parsed_content("dataset")
    output = workflow.parser.get_parsed_content("output_dir")
    if arguments.json:
        print(json.dumps({"output_dir": output, "segmented": dataset.given, "set_aside": dataset.failures}))
    else:
        print(f"{dataset.given} files segmented, masks in {output}")
        for failure in dataset.failures:
            print(f"set aside: {failure}")
    return 1 if dataset.failures else 0
