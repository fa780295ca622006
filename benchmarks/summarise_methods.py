"""How every term of every method moved: mean of the first and of the last epoch, from the histories of comparisons.

usage: python benchmarks/summarise_methods.py COMPARISON …
"""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

from tabulate import tabulate

NO_DISTANCE = ("asd", "adversarial", "discriminator")
"""Terms of a game between two networks: they need not fall."""


def history(path: Path) -> dict[str, list[float]]:
    """Name → its values, epoch by epoch."""
    values: dict[str, list[float]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            values.setdefault(row["name"], []).append(float(row["value"]))
    return values


def main(folders: list[Path]) -> None:
    for folder in folders:
        rows = []
        for path in sorted(folder.glob("cells/*/*/*/seed_0/history.csv")):
            values = history(path)
            terms = {name.removeprefix("train/"): entry for name, entry in values.items() if name.startswith("train/")}
            terms = {name: entry for name, entry in terms.items() if name not in ("loss", "learning_rate")}
            if not terms:
                continue
            assert all(math.isfinite(value) for entry in terms.values() for value in entry), path
            told = ", ".join(f"{name} {entry[0]:.3g} → {entry[-1]:.3g}" for name, entry in terms.items())
            distances = {n: e for n, e in terms.items() if not any(word in n for word in NO_DISTANCE)}
            risen = [name for name, entry in distances.items() if entry[-1] >= entry[0]]
            rows.append([path.parents[1].name, told, "all" if not risen else "not " + ", ".join(risen)])
        print(f"{folder.name}\n")
        headers = ["method", "mean of the first epoch → of the last", "distances fell"]
        print(tabulate(rows, headers, "pipe", disable_numparse=True), "\n")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
