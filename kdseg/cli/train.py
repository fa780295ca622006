"""``kdseg train``: the student alone, or the teacher."""

from __future__ import annotations

import argparse

from kdseg.cli.bundle_options import add_bundle_arguments, bundle_settings, with_overlays

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_bundle_arguments(parser)
    parser.add_argument("--teacher-network", action="store_true", help="train the teacher's network")


def run(arguments: argparse.Namespace) -> int:
    from kdseg.configuration import bundle_folder, run_bundle

    layers = with_overlays(arguments, "train", *(["train_teacher"] if arguments.teacher_network else []))
    run_bundle(bundle_folder(arguments.bundle), layers, bundle_settings(arguments))
    return 0
