"""``kdseg new``: a task of one's own, made like one that comes with kdseg."""

from __future__ import annotations

import argparse
import json

from kdseg.cli.bundle_options import add_set

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", help="a folder that is empty or not there yet; its name becomes the task's")
    parser.add_argument("--like", required=True, metavar="BUNDLE", help="one that comes with kdseg, or its folder")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="what is segmented; by default the task's")
    parser.add_argument("--description", default="", help="what the images show, in a few words")
    add_set(parser, "change the task, for instance --set colour=true --set window=[-100,300] (may be repeated)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    from kdseg.configuration import new_bundle
    from kdseg.settings import nested, parse_setting

    changes = nested(dict(parse_setting(text) for text in arguments.settings))
    if arguments.classes:
        changes["classes"] = arguments.classes
    folder = new_bundle(arguments.like, arguments.folder, arguments.description, changes)
    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    if arguments.json:
        print(json.dumps({"folder": str(folder), "task": task}))
        return 0
    print(f"{folder}: a task of your own. task.json says what the network is fed and what comes out,")
    print("configs/train.json how it learns.")
    if "classes" not in changes:
        # glands would be called tumour in every mask and table
        print(f"Its classes are those of {arguments.like}: {', '.join(task['classes'])}. Change them there.")
    print("Next:")
    print(f"  kdseg prepare {folder} IMAGES --out list.json")
    print(f"  kdseg train {folder} --datalist list.json --output-dir out/student")
    return 0
