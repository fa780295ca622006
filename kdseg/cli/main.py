"""The ``kdseg`` command: finds the subcommand's module, runs it, and turns errors into one clear message.

A subcommand is a module of this package with ``add_arguments(parser)`` and ``run(arguments) -> int`` (the exit code).
Only the module of the chosen command is imported, so ``kdseg --help`` answers at once.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from kdseg._version import __version__
from kdseg.errors import user_error_in

COMMANDS = {
    "prepare": "make a data list from a folder of images and masks, and check every case",
    "check": "measure and compare the cases of a data list, and tell what is wrong with them",
    "train": "train a bundle's student alone, or its teacher with --teacher-network",
    "distill": "train a bundle's student with the help of a teacher",
    "evaluate": "measure a trained network on the test cases of a data list",
    "compare": "teacher, student alone and student distilled side by side, with statistics and a report",
    "report": "write the report of a comparison again, finished or half-finished",
    "sync": "send to MLflow what trainings could not send",
    "export": "write a trained student as ONNX, OpenVINO and others, measured on real cases",
    "predict": "segment a file or a folder with a trained student",
    "demo": "run the whole job on a generated set of angiograms",
    "new": "make a task of your own, in a folder that every command takes",
    "task": "show what a network is fed and what comes out, or write it",
    "bundle": "copy a bundle that comes with kdseg, to edit it",
    "methods": "list the distillation methods",
    "networks": "list the networks, their sizes and their taps",
    "benchmark": "measure the cost of a distillation step, and the milliseconds of a picture",
}


def build_parser(command: str | None) -> argparse.ArgumentParser:
    """The parser of all commands, with the arguments of ``command`` alone filled in."""
    parser = argparse.ArgumentParser(
        prog="kdseg", description="Small segmentation networks for medical images, distilled from large ones."
    )
    parser.add_argument("--version", action="version", version=f"kdseg {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name == command:
            importlib.import_module(f"kdseg.cli.{name}").add_arguments(subparser)
            subparser.add_argument("--debug", action="store_true", help="show the full traceback of an error")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit code 0: done; 1: done, but with cases set aside or an internal error; 2: bad input."""
    words = list(sys.argv[1:] if argv is None else argv)
    command = next((word for word in words if word in COMMANDS), None)
    parser = build_parser(command)
    arguments = parser.parse_args(words)
    if arguments.command is None:
        parser.print_help()
        return 0
    try:
        return int(importlib.import_module(f"kdseg.cli.{arguments.command}").run(arguments))
    except KeyboardInterrupt:
        print("stopped; what was finished is kept", file=sys.stderr)
        return 130
    except Exception as error:
        if arguments.debug:
            raise
        expected = user_error_in(error)
        if expected is not None:
            print(f"kdseg {arguments.command}: {expected}", file=sys.stderr)
            return 2
        cause = _first_cause(error)
        print(f"kdseg {arguments.command}: {type(cause).__name__}: {cause}", file=sys.stderr)
        print("This was not foreseen; run the command again with --debug for the traceback.", file=sys.stderr)
        return 1


def _first_cause(error: BaseException) -> BaseException:
    """What went wrong first: MONAI's configuration wraps it in errors that only say which expression failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


if __name__ == "__main__":
    sys.exit(main())
