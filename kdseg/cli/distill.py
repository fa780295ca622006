"""``kdseg distill``: the student with the help of a teacher."""

from __future__ import annotations

import argparse

from kdseg.cli.bundle_options import add_bundle_arguments, bundle_settings, with_overlays

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_bundle_arguments(parser)
    parser.add_argument("--method", help="name of a method (default: recommended); kdseg methods lists them")
    text = "the folder of its training, a MONAI bundle's folder, a TorchScript file, weights alone, or several of these"
    cross = "or the folder of kdseg train --cross-fit"
    parser.add_argument("--teacher", required=True, nargs="+", help=f"the teacher: {text} as an ensemble; {cross}")
    text = "half of each batch are the list's unlabelled images, which learn from the teacher alone"
    parser.add_argument("--unlabelled", action="store_true", help=text)


def run(arguments: argparse.Namespace) -> int:
    from kdseg.configuration import bundle_folder, run_bundle

    folder = bundle_folder(arguments.bundle)
    layers = with_overlays(arguments, "train", "distill", *(["semi_supervised"] if arguments.unlabelled else []))
    run_bundle(folder, layers, bundle_settings(arguments, "method", "teacher"))
    return 0
