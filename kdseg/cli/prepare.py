"""``kdseg prepare``: make a data list from a folder of images and masks, and check every case."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from kdseg.errors import UserError

__all__ = ["add_arguments", "run"]

# problems of one kind that are printed one by one
SHOWN = 3
# that reach prepare as they are
OPTIONS = ("seed", "folds", "fractions", "mask_suffix", "merge", "ignored", "patient_pattern", "protocol", "accept")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", help="a bundle: the name of one that comes with kdseg, or its folder (kdseg new)")
    text = "the folder of images and masks, or a table (docs/data.md tells the layouts)"
    parser.add_argument("source", metavar="SRC", help=text)
    parser.add_argument("--out", required=True, metavar="LIST.json", help="the data list to write")
    parser.add_argument("--seed", type=int, default=0, help="of the split (default 0)")
    parser.add_argument("--folds", type=int, default=5, help="over training + validation (default 5)")
    parser.add_argument(
        "--fractions",
        type=float,
        nargs=3,
        default=(0.6, 0.2, 0.2),
        metavar=("TRAINING", "VALIDATION", "TEST"),
        help="parts of the patients (default 0.6 0.2 0.2); 0 0 1 for a set that is only tested on",
    )
    parser.add_argument("--frame", help="of a cine: best (default), or a number from 0")
    parser.add_argument("--level", type=int, help="of whole-slide files; 0 is full resolution")
    parser.add_argument("--mask-suffix", metavar="_END", help="what a mask's name has more than its image's: _anno")
    text = "names of the values in the masks: 1=liver 2=tumour"
    parser.add_argument("--label-names", nargs="+", metavar="VALUE=NAME", help=text)
    text = "values that are one class: 1-32=1"
    parser.add_argument("--merge", nargs="+", default=(), metavar="VALUES=ONE", help=text)
    parser.add_argument("--ignored", type=int, help="value in the masks that marks pixels to be left out")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="classes of the task, where they are other ones")
    parser.add_argument("--patient-pattern", metavar="REGEX", help="finds the patient in the path: Image_([0-9]+)")
    parser.add_argument("--layout", help="how the files lie: generic, or one of a public set (default: the task's)")
    parser.add_argument("--protocol", help="a published way to divide the cases, see docs/data.md; or random")
    text = "take cases in spite of such errors (docs/check.md)"
    parser.add_argument("--accept", nargs="+", default=(), metavar="KIND", help=text)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0: all cases are in the list; 1: some were left out, and are named."""
    from kdseg.configuration import task_folder
    from kdseg.data.prepare import prepare
    from kdseg.task import read_task

    settings = read_task(task_folder(arguments.task)).data
    given = {name: getattr(arguments, name) for name in ("classes", "layout", "level") if getattr(arguments, name)}
    if arguments.frame is not None:
        given["frame"] = int(arguments.frame) if arguments.frame.isdigit() else arguments.frame
    options = {name: getattr(arguments, name) for name in OPTIONS}
    label_names = _names(arguments.label_names or ())
    result = prepare(
        arguments.source, arguments.out, **settings | given, **options, label_names=label_names, progress=True
    )
    if arguments.json:
        print(json.dumps(asdict(result) | {"datalist": str(result.datalist)}, indent=2, ensure_ascii=False))
    else:
        print(f"{arguments.out}: " + ", ".join(f"{count} {section}" for section, count in result.counts.items()))
        for note in result.notes:
            print(f"note: {note}")
        _print_problems(result.problems)
    return 1 if result.problems else 0


def _names(texts: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for text, (value, _, name) in zip(texts, pairs, strict=True):
        if not value.isdigit() or not name:
            raise UserError("--label-names", found=repr(text), expected="value=name", fix="write for example 1=liver")
    return {value: name for value, _, name in pairs}


def _print_problems(problems: Sequence[dict[str, str]]) -> None:
    if problems:
        print(f"left out ({len(problems)}):")
    groups: dict[str, list[dict[str, str]]] = {}
    for problem in problems:
        groups.setdefault(problem["kind"], []).append(problem)
    for kind, group in groups.items():
        print(f"  {kind} ({len(group)})")
        for problem in group[:SHOWN]:
            told = f": {problem['reason']}" if problem["reason"] != kind else ""
            near = f"; the nearest name is {problem['near']}" if "near" in problem else ""
            print(f"    {problem['file']}{told}{near}")
        if len(group) > SHOWN:
            print(f"    … and {len(group) - SHOWN} more; --json tells all")
