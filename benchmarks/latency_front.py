"""Dice against milliseconds: thin and folded students of several widths, trained alone in step, on the same batches.

    python benchmarks/latency_front.py LIST OUT --seeds 2 --budget 800 > docs/results/latency_front.txt

LIST is a data list of ``kdseg prepare coronary_angiogram``; the recipe is the bundle's. A killed run resumes. What is
chosen is chosen by the validation cases; the test cases are read once, after all training.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import statistics
from pathlib import Path

import torch
from tabulate import tabulate

from kdseg.compare.measuring import measure
from kdseg.compare.plan import Cell, groups, plan
from kdseg.compare.request import ALONE, CompareRequest
from kdseg.compare.training import train_group
from kdseg.configuration import bundle_folder
from kdseg.deploy import forwards, interleaved_milliseconds
from kdseg.networks import NETWORKS, FoldedUNet, ThinUNet, build_network, count_macs, count_parameters
from kdseg.networks.registry import NetworkEntry

STUDENTS = {
    "thin_2": NetworkEntry(ThinUNet, "own", {"base_channels": 2}),
    "thin_4": NetworkEntry(ThinUNet, "own", {"base_channels": 4}),
    **{
        f"fold_{fold}_base_{base}": NetworkEntry(FoldedUNet, "own", {"fold": fold, "base_channels": base})
        for fold, base in ((2, 4), (2, 8), (4, 8), (4, 16))
    },
}
SIZE = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datalist", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--budget", type=int, default=800, help="steps of each training")
    parser.add_argument("--repeats", type=int, default=21, help="forwards of each network and runtime")
    arguments = parser.parse_args()
    for name, entry in STUDENTS.items():
        NETWORKS.register(name, entry)
    cells = plan_cells(arguments)
    for group in groups(cells):
        train_group(group)
    measure(cells)
    times = latencies(arguments.repeats)
    print(f"{platform.machine()}, {os.cpu_count()} cores, one thread, torch {torch.__version__}")
    print(f"{arguments.budget} steps, {arguments.seeds} seeds; milliseconds of one {SIZE}×{SIZE} image\n")
    print(tabulate([row(name, cells, times[name]) for name in STUDENTS], "keys", floatfmt=".3f", intfmt=","))


def plan_cells(arguments: argparse.Namespace) -> list[Cell]:
    """The students alone of a comparison."""
    request = CompareRequest(
        bundle_folder("coronary_angiogram"),
        arguments.datalist.absolute(),
        arguments.out.absolute(),
        methods=("kd",),
        students=tuple(STUDENTS),
        seeds=arguments.seeds,
        device="cpu",
    )
    return [cell for cell in plan(request, {"all": request.datalist}, arguments.budget) if cell.arm == ALONE]


def latencies(repeats: int) -> dict[str, dict[str, list[float]]]:
    """The times of each turn by network and runtime, in milliseconds."""
    torch.set_num_threads(1)
    ways = {
        (name, runtime): forward
        for name in STUDENTS
        for runtime, forward in forwards(build_network(name), (1, 1, SIZE, SIZE)).items()
    }
    found = interleaved_milliseconds(ways, repeats)
    return {
        name: {runtime: its_times for (its, runtime), its_times in found.items() if its == name} for name in STUDENTS
    }


def row(name: str, cells: list[Cell], times: dict[str, list[float]]) -> dict[str, object]:
    own = [cell for cell in cells if cell.student == name and cell.finished]
    network = build_network(name)
    validation = [float(cell.notes("done")["validation"]) for cell in own]
    test = [test_dice(cell) for cell in own]
    return {
        "student": name,
        "parameters": count_parameters(network),
        "GMAC": count_macs(network, (1, 1, SIZE, SIZE)) / 1e9,
        "validation": " / ".join(f"{value:.3f}" for value in validation),
        "its mean": statistics.mean(validation),
        "test": statistics.mean(test),
        "last 4 validations": " ".join(f"{value:.3f}" for value in last_validations(own)),
        **{f"{runtime} ms": f"{statistics.median(its):.1f} ({min(its):.1f})" for runtime, its in times.items()},
    }


def test_dice(cell: Cell) -> float:
    with (cell.folder / "evaluation_test" / "cases.csv").open(newline="", encoding="utf-8") as file:
        return statistics.mean(float(case["dice"]) for case in csv.DictReader(file))


def last_validations(cells: list[Cell]) -> list[float]:
    """Validation Dice at the ends of the last epochs, mean of the seeds: whether it still rises."""
    curves = []
    for cell in cells:
        with (cell.folder / "history.csv").open(newline="", encoding="utf-8") as file:
            curves.append([float(line["value"]) for line in csv.DictReader(file) if line["name"] == "val_mean_dice"])
    return [statistics.mean(values) for values in zip(*curves, strict=True)][-4:]


if __name__ == "__main__":
    main()
