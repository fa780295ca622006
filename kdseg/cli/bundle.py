"""``kdseg bundle copy``: an own copy of a bundle, to edit."""

from __future__ import annotations

import argparse
import json

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    copy = actions.add_parser("copy", help="copy a bundle into a folder of yours")
    copy.add_argument("bundle", help="the name of a bundle that comes with kdseg, or the folder of one")
    copy.add_argument("folder", help="a folder that is empty or not there yet")
    copy.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    from kdseg.configuration import copy_bundle

    folder = copy_bundle(arguments.bundle, arguments.folder)
    files = sum(path.is_file() for path in folder.rglob("*"))
    if arguments.json:
        print(json.dumps({"folder": str(folder), "files": files}))
    else:
        print(f"{folder}: {files} files. Commands take this folder in place of the bundle's name.")
    return 0
