"""``kdseg task``: what a network is fed and what comes out, of a bundle or of a trained network."""

from __future__ import annotations

import argparse
import json

from kdseg.cli.bundle_options import add_set

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", help="a bundle's name or folder, or the folder of a trained network")
    add_set(parser, "change it")
    parser.add_argument("--out", help="write task.json into this folder, for weights that have none")


def run(arguments: argparse.Namespace) -> int:
    from kdseg.configuration import task_folder
    from kdseg.settings import nested, parse_setting
    from kdseg.task import read_task

    changes = nested(dict(parse_setting(text) for text in arguments.settings))
    task = read_task(task_folder(arguments.source)).changed(changes)
    if arguments.out:
        print(task.write(arguments.out))
    else:
        print(json.dumps(task.as_json(), indent=2, ensure_ascii=False))
    return 0
