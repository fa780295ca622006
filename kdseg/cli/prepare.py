"""``kdseg prepare``: make a data list from a folder of images and masks, and check every case."""

from __future__ import annotations

import argparse
import json

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", help="what the images are, for example coronary_angiogram")
    parser.add_argument("source", metavar="SRC", help="the folder of images and masks (docs/data.md tells the layouts)")
    parser.add_argument("--out", required=True, metavar="LIST.json", help="the data list to write")
    parser.add_argument("--seed", type=int, default=0, help="of the split (default 0)")
    parser.add_argument(
        "--folds", type=int, default=5, help="for cross-validation over training + validation (default 5)"
    )
    parser.add_argument(
        "--fractions",
        type=float,
        nargs=3,
        default=(0.6, 0.2, 0.2),
        metavar=("TRAINING", "VALIDATION", "TEST"),
        help="parts of the patients (default 0.6 0.2 0.2)",
    )
    parser.add_argument("--frame", default="best", help="of a cine: best (default), or a number from 0")
    parser.add_argument("--ignored", type=int, help="value in the masks that marks pixels to be left out (pathology)")
    parser.add_argument("--level", type=int, default=0, help="of whole-slide files (pathology); 0 is full resolution")
    parser.add_argument("--protocol", help="a published way to divide the cases, see docs/data.md; or random")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0: all cases are in the list; 1: some were left out, and are named."""
    from kdseg.data.prepare import prepare

    result = prepare(
        arguments.task,
        arguments.source,
        arguments.out,
        seed=arguments.seed,
        folds=arguments.folds,
        fractions=arguments.fractions,
        frame=int(arguments.frame) if arguments.frame.isdigit() else arguments.frame,
        protocol=arguments.protocol,
        ignored=arguments.ignored,
        level=arguments.level,
        progress=True,
    )
    if arguments.json:
        print(
            json.dumps(
                {
                    "datalist": str(result.datalist),
                    "counts": result.counts,
                    "problems": result.problems,
                    "notes": result.notes,
                },
                indent=2,
                ensure_ascii=False,
            )
        )
    else:
        print(f"{arguments.out}: " + ", ".join(f"{count} {section}" for section, count in result.counts.items()))
        for note in result.notes:
            print(f"note: {note}")
        if result.problems:
            print(f"left out ({len(result.problems)}):")
        for problem in result.problems:
            print(f"  {problem['file']}: {problem['reason']}")
    return 1 if result.problems else 0
