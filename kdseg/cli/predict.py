"""``kdseg predict``: masks for a file or a folder."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "student", help="what kdseg distill, train or export wrote: its folder, or a bundle with weights in models/"
    )
    parser.add_argument("source", help="a DICOM, NIfTI or picture file, or a folder of them")
    parser.add_argument("--output-dir", required=True, help="where the masks go")
    parser.add_argument("--frame", help="all (default), best, or the number of a frame of a cine")
    parser.add_argument("--series", help="a word of the description of the DICOM series that is meant")
    parser.add_argument("--uneven", choices=["refuse", "resample"], help="series with gaps, uneven spacing or tilt")
    parser.add_argument("--runtime", help="of an export, the format that is used: onnx, openvino, onnx_int8, …")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, …; by default CUDA where it is")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there already")
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0: every file has its mask; 1: some were set aside, and are named."""
    from kdseg.deploy import load, predict_files

    frame = arguments.frame or "all"
    changes = {"frame": int(frame) if frame.isdigit() else frame}
    changes |= {name: getattr(arguments, name) for name in ("series", "uneven") if getattr(arguments, name)}
    device = None
    if arguments.device is not None:
        from kdseg.cli.bundle_options import check_device

        device = check_device(arguments.device)
    student = load(arguments.student, device, arguments.runtime, **changes)
    done = predict_files(student, arguments.source, arguments.output_dir, arguments.overwrite)
    if arguments.json:
        facts = {"output_dir": str(done.output_dir), "segmented": len(done.cases), "cases": done.cases}
        print(json.dumps({**facts, "set_aside": done.set_aside}))
    else:
        for case in done.cases:
            amounts = ", ".join(f"{name} {ml:g} ml" for name, ml in case["ml"].items())
            series = f"series {case['series']}, " if "series" in case else ""
            told = f"{series}{amounts}" if amounts else f"{case['frames']} frames" if case["frames"] > 1 else ""
            print(f"{Path(case['output']).name}{': ' if told else ''}{told}")
        print(f"{len(done.cases)} file{'s' * (len(done.cases) != 1)} segmented, masks in {done.output_dir}")
        for failure in done.set_aside:
            print(f"set aside: {failure}", file=sys.stderr)
    return 1 if done.set_aside else 0
