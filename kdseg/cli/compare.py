"""``kdseg compare``: teacher, student alone and student distilled, side by side."""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from pathlib import Path

from kdseg.cli.bundle_options import DATALIST, DEVICE, add_set
from kdseg.errors import UserError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", help="folder of a bundle, or the name of one that comes with kdseg")
    parser.add_argument("--datalist", required=True, help=DATALIST)
    parser.add_argument("--out", required=True, help="folder for everything; give the same to go on after a stop")
    parser.add_argument("--methods", default="", help="kd,lightvessel,… also kd+unlabelled; kdseg methods lists them")
    parser.add_argument("--students", default="", help="names of networks; by default the bundle's student")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds (default 1)")
    parser.add_argument("--folds", type=int, help="how many of the list's folds; by default the list as it is")
    parser.add_argument("--semi", default="", metavar="N,N", help="also with the labels of N patients only")
    parser.add_argument("--budget", help="steps of each training (1500) or minutes (30m); default: the bundle's epochs")
    text = "a trained teacher; {fold} stands for the fold. By default trained here"
    parser.add_argument("--teacher", nargs="+", default=[], help=text)
    parser.add_argument("--ablate", default="", metavar="METHOD", help="also parts of this method's terms")
    parser.add_argument("--tune", type=int, default=0, metavar="N", help="search each arm's weights with N trials")
    parser.add_argument("--engine", choices=("local", "ray"), default="local", help="train here (default), or on Ray")
    parser.add_argument("--address", help="of the Ray cluster; default: the one that runs here, or a new one")
    parser.add_argument("--gpus-per-cell", type=float, default=0.0, help="GPUs for each Ray worker (default 0)")
    parser.add_argument("--device", help=DEVICE)
    text = "change a key of the configuration for all trainings, or for one arm (teacher:epochs=200)"
    add_set(parser, text, "[ARM:]KEY=VALUE")
    parser.add_argument("--json", action="store_true", help="print results.json")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0: every cell is finished; 1: some failed, and are named."""
    from kdseg.compare.ablation import ablation_table
    from kdseg.compare.request import CompareRequest
    from kdseg.compare.run import compare
    from kdseg.compare.workers import RayEngine, train_here
    from kdseg.configuration import bundle_folder
    from kdseg.report import headline_text

    request = CompareRequest(
        bundle=bundle_folder(arguments.bundle),
        datalist=Path(arguments.datalist),
        out=Path(arguments.out),
        methods=_names(arguments.methods),
        students=_names(arguments.students),
        seeds=arguments.seeds,
        folds=arguments.folds,
        semi=_numbers(arguments.semi),
        budget=arguments.budget,
        teacher=tuple(arguments.teacher),
        ablate=_names(arguments.ablate),
        tune=arguments.tune,
        device=arguments.device,
        settings=tuple(arguments.settings),
    )
    _log_to_terminal()
    engine = RayEngine(arguments.address, arguments.gpus_per_cell) if arguments.engine == "ray" else train_here
    rows = compare(request, _command(), engine)
    out = Path(arguments.out)
    if arguments.json:
        print((out / "results.json").read_text(encoding="utf-8"))
    else:
        for part in request.parts:
            labelled = "" if part.labelled is None else f" with the labels of {part.labelled} patient(s)"
            print(f"Test cases{labelled}\n\n{headline_text(part.out)}")
        for method in request.ablate:
            print(f"{method}, its terms:\n\n{ablation_table(method, out / 'cases.csv')}\n")
        print(f"report: {out / 'report.html'}   numbers: {out / 'results.json'}   cases: {out / 'cases.csv'}")
    failed = [row for row in rows if row["state"] == "failed"]
    for row in failed:
        print(f"failed: {row['folder']}: {row['reason']}", file=sys.stderr)
    return 1 if failed else 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(name) for name in _names(text))
    except ValueError as error:
        expected = "numbers of labelled patients with commas between them"
        raise UserError("--semi", found=repr(text), expected=expected, fix="for instance --semi 2,6,10") from error


def _command() -> str:
    """The command line without this machine's folders."""
    from kdseg.handlers.provenance import without_folder

    return shlex.join(["kdseg", *map(without_folder, sys.argv[1:])])


def _log_to_terminal() -> None:
    """What the comparison says goes to the terminal; what its trainings say, to the log of each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    package = logging.getLogger("kdseg")
    package.setLevel(logging.INFO)
    package.propagate = False
    own = logging.getLogger("kdseg.compare")
    own.handlers[:] = [handler]
    # every failure is told once, by the comparison
    logging.getLogger("ignite").setLevel(logging.CRITICAL)
