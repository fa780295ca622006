"""``kdseg predict``: masks for files, folders and archives."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "student",
        help="what kdseg distill, train or export wrote: its folder, or a bundle with weights in models/; "
        "or models:/name/version of MLflow",
    )
    parser.add_argument(
        "source", nargs="+", help="DICOM, NIfTI or picture files, folders of them (also DICOM studies), zip archives"
    )
    parser.add_argument("--out", "--output-dir", required=True, dest="output_dir", help="where the masks go")
    parser.add_argument(
        "--format",
        default="nifti",
        help="of the masks of DICOM images: nifti (default), seg, rtstruct, capture; several with commas",
    )
    parser.add_argument("--preview", action="store_true", help="write a picture of each mask beside it")
    parser.add_argument(
        "--report", metavar="FILE", help="write what was done as JSON: versions, cases, seconds, volumes"
    )
    parser.add_argument("--frame", help="all (default), best, or the number of a frame of a cine")
    parser.add_argument(
        "--series", help="a word of the description of the DICOM series that is meant, or all: every one that fits"
    )
    parser.add_argument("--uneven", choices=["refuse", "resample"], help="series with gaps, uneven spacing or tilt")
    parser.add_argument("--runtime", help="of an export, the format that is used: onnx, openvino, onnx_int8, …")
    parser.add_argument("--device", help="cpu, cuda, cuda:1, …; by default CUDA where it is")
    parser.add_argument("--force", action="store_true", help="take images of other modalities too, without asking")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there already")
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0: every file has its mask; 1: some were set aside, and are named."""
    from kdseg.deploy import load, predict_files
    from kdseg.masks import check_formats
    from kdseg.masks.report import write_report

    formats = check_formats(arguments.format.split(","))
    frame = arguments.frame or "all"
    changes: dict[str, Any] = {"frame": int(frame) if frame.isdigit() else frame}
    every = arguments.series == "all"
    changes |= {"series": arguments.series} if arguments.series and not every else {}
    changes |= {"uneven": arguments.uneven} if arguments.uneven else {}
    device = None
    if arguments.device is not None:
        # not without need: an export is used without torch
        from kdseg.cli.bundle_options import check_device

        device = check_device(arguments.device)
    student = load(arguments.student, device, arguments.runtime, **changes)
    done = predict_files(
        student,
        arguments.source,
        arguments.output_dir,
        arguments.overwrite,
        formats=formats,
        preview=arguments.preview,
        every_series=every,
        force=arguments.force,
        ask=_ask if sys.stdin.isatty() and sys.stderr.isatty() else None,
    )
    if arguments.report:
        write_report(done, student.maker, arguments.report, device=str(student.device))
    if arguments.json:
        facts = {"output_dir": str(done.output_dir), "segmented": len(done.cases), "cases": done.cases}
        print(json.dumps({**facts, "done_before": done.done_before, "set_aside": done.set_aside}))
    else:
        _tell(done, arguments.report)
    return 1 if done.set_aside else 0


def _tell(done: Any, report: str | None) -> None:
    for case in done.cases:
        amounts = ", ".join(f"{name} {ml:g} ml" for name, ml in case["ml"].items())
        series = f"series {case['series']}, " if "series" in case else ""
        told = f"{series}{amounts}" if amounts else f"{case['frames']} frames" if case["frames"] > 1 else ""
        print(f"{Path(case['output']).name}{': ' if told else ''}{told}")
        for warning in case["warnings"]:
            print(f"  note: {warning}")
    before = f", {len(done.done_before)} had their masks before" if done.done_before else ""
    print(f"{len(done.cases)} file{'s' * (len(done.cases) != 1)} segmented{before}, masks in {done.output_dir}")
    if report:
        print(f"report: {report}")
    for failure in done.set_aside:
        print(f"set aside: {failure}", file=sys.stderr)


def _ask(reason: str) -> bool:
    """A question in the terminal; anything but yes is no."""
    print(f"\n{reason}\nSegment such images all the same? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
