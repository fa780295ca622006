"""``kdseg train``: the student alone, or the teacher."""

from __future__ import annotations

import argparse
from pathlib import Path

from kdseg.cli.bundle_options import add_bundle_arguments, bundle_settings, with_overlays

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_bundle_arguments(parser)
    parser.add_argument("--teacher-network", action="store_true", help="train the teacher's network")
    text = "with --teacher-network: K teachers, each trained on all parts of the training cases but one"
    parser.add_argument("--cross-fit", type=int, metavar="K", help=text)


def run(arguments: argparse.Namespace) -> int:
    from kdseg.configuration import bundle_folder, run_bundle
    from kdseg.errors import UserError

    layers = with_overlays(arguments, "train", *(["train_teacher"] if arguments.teacher_network else []))
    folder, settings = bundle_folder(arguments.bundle), bundle_settings(arguments)
    if arguments.cross_fit is None:
        run_bundle(folder, layers, settings)
        return 0
    if not arguments.teacher_network or arguments.output_dir is None:
        expected = "--teacher-network and --output-dir beside it"
        fix = "for instance --teacher-network --cross-fit 4 --output-dir out/teachers"
        raise UserError("--cross-fit", found="one of them missing", expected=expected, fix=fix)
    from kdseg.compare.cross_fit import train_cross_fit

    output = Path(arguments.output_dir)
    train_cross_fit(folder, layers, settings, Path(arguments.datalist), output, arguments.cross_fit)
    return 0
