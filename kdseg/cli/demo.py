"""``kdseg demo``: the whole job on generated angiograms, in a few minutes."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", default="demo", help="folder for everything (default: demo)")
    parser.add_argument("--method", default="recommended", help="the distillation method")
    parser.add_argument("--quick", action="store_true", help="a few steps only, to see that everything is there")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(arguments: argparse.Namespace) -> int:
    from kdseg.compare.demo import Demo

    out = Path(arguments.out)
    shorter = {"images": 12, "size": 96, "epochs": 2, "steps": 5, "teacher_channels": 4} if arguments.quick else {}
    # with --json all that is told on the way, the log of the trainings too, leaves standard output to the summary
    with redirect_stdout(sys.stderr if arguments.json else sys.stdout):
        say = partial(print, flush=True)
        summary = Demo(out, method=arguments.method, seed=arguments.seed, say=say, **shorter).run()
        logging.shutdown()
        gain = summary["student_distilled"]["dice"] - summary["student_alone"]["dice"]
        say(
            f"Distillation changed the student's Dice by {gain:+.3f} on {out}'s test cases, with one seed: "
            "no evidence yet."
        )
        say(f"Picture: {out / 'overlay.png'}   masks: {out / 'masks'}   numbers: {out / 'summary.json'}")
    if arguments.json:
        print(json.dumps(summary))
    return 0
