"""``kdseg sync``: what trainings could not send to MLflow is sent now."""

from __future__ import annotations

import argparse
import json
import sys

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("output_dir", help="folder of one training or of many")
    parser.add_argument("--tracking-uri", help="send to this store (default: the one that was meant)")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    from kdseg.handlers.unsent import sync

    results = []
    for name, sent, error in sync(arguments.output_dir, arguments.tracking_uri):
        results.append({"run": name, "sent": sent, "error": error})
        text = f"{name}: {sent} records sent{f', the rest waits on ({error})' if error else ''}"
        print(text, file=sys.stderr if arguments.json else sys.stdout, flush=True)
    if arguments.json:
        print(json.dumps(results))
    elif not results:
        print(f"nothing waits in {arguments.output_dir}")
    return int(any(result["error"] for result in results))
