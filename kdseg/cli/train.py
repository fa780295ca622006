"""``kdseg train``: the student alone, or the teacher."""

from __future__ import annotations

import argparse

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from kdseg.cli.bundle_options import add_bundle_arguments

    add_bundle_arguments(parser)
    parser.add_argument("--teacher-network", action="store_true", help="train the teacher's network")
    parser.add_argument("--seed", type=int, help="seed of weights, batches and augmentation")
    parser.add_argument("--epochs", type=int, help="length of the training")


def run(arguments: argparse.Namespace) -> int:
    from kdseg.cli.bundle_options import bundle_settings, with_overlays
    from kdseg.configuration import bundle_folder, run_bundle

    layers = with_overlays(arguments, "train", *(["train_teacher"] if arguments.teacher_network else []))
    folder = bundle_folder(arguments.bundle)
    run_bundle(folder, layers, bundle_settings(arguments, "seed", "epochs"))
    return 0
