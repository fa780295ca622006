"""``kdseg demo``: the whole job on generated angiograms, in a few minutes."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", default="demo", help="folder for everything (default: demo)")
    parser.add_argument("--method", default="kd", help="the distillation method")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--quick", action="store_true", help="20 images, 2 epochs of 5 steps: shows that it runs, not what is gained"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(arguments: argparse.Namespace) -> int:
    from kdseg.experiments.demo import Demo

    def say(text: str) -> None:
        print(text, file=sys.stderr if arguments.json else sys.stdout, flush=True)

    out = Path(arguments.out)
    length = {"images": 20, "epochs": 2, "steps": 5} if arguments.quick else {}
    summary = Demo(out, method=arguments.method, seed=arguments.seed, say=say, **length).run()
    logging.shutdown()
    if arguments.json:
        print(json.dumps(summary))
    gain = summary["student_distilled"]["dice"] - summary["student_alone"]["dice"]
    say(
        f"Distillation changed the student's Dice by {gain:+.3f} on {out}'s test cases, with one seed: no evidence yet."
    )
    say(f"Picture: {out / 'overlay.png'}   masks: {out / 'masks'}   numbers: {out / 'summary.json'}")
    return 0
