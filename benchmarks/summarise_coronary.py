"""Tables of ``benchmarks/coronary_angiograms.sh``: scores of every arm and the paired change by distillation.

usage: python benchmarks/summarise_coronary.py OUT > docs/results/coronary_angiograms_table.md
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from scipy.stats import bootstrap

from kdseg.report.table import markdown_table

METRICS = ["dice", "cldice", "iou", "sensitivity", "specificity", "auc", "hd95_px"]


def scores(folder: Path) -> dict[str, float]:
    content = json.loads((folder / "evaluation_test" / "summary.json").read_text())["metrics"]
    return {name: content[name]["mean"] for name in METRICS}


def cases(folder: Path, metric: str) -> dict[str, float]:
    with (folder / "evaluation_test" / "cases.csv").open() as stream:
        return {row["case"]: float(row[metric]) for row in csv.DictReader(stream)}


def main(out: Path) -> None:
    seeds: dict[str, list[Path]] = {}
    for folder in sorted(path.parents[1] for path in out.glob("*/evaluation_test/summary.json")):
        seeds.setdefault(folder.name.rsplit("_", 1)[0], []).append(folder)
    order = [name for name in ("teacher", "alone") if name in seeds] + sorted(set(seeds) - {"teacher", "alone"})
    rows = []
    for name in order:
        found = [scores(folder) for folder in seeds[name]]
        cells = []
        for metric in METRICS:
            values = [entry[metric] for entry in found]
            digits = 1 if metric == "hd95_px" else 4
            spread = f" ± {stdev(values):.{digits}f}" if len(values) > 1 else ""
            cells.append(f"{fmean(values):.{digits}f}{spread}")
        rows.append([name, len(found), *cells])
    print(markdown_table(rows, ["arm", "seeds", *METRICS]))
    print("\nDice by seed\n")
    rows = [
        [folder.name, f"{scores(folder)['dice']:.4f}", f"{scores(folder)['cldice']:.4f}"]
        for n in order
        for folder in seeds[n]
    ]
    print(markdown_table(rows, ["run", "dice", "cldice"]))
    print("\nDistilled − alone, same case and seed, mean over seeds; 95 % bootstrap interval over cases\n")
    rows = []
    for name in order[2:]:
        for metric in ("dice", "cldice"):
            changes: dict[str, list[float]] = {}
            for folder in seeds[name]:
                alone = cases(out / f"alone_{folder.name.rsplit('_', 1)[1]}", metric)
                for case, value in cases(folder, metric).items():
                    changes.setdefault(case, []).append(value - alone[case])
            by_case = np.array([fmean(values) for values in changes.values()])
            interval = bootstrap((by_case,), np.mean, random_state=0).confidence_interval
            better = f"{int((by_case > 0).sum())} of {len(by_case)}"
            rows.append(
                [name, metric, f"{by_case.mean():+.4f}", f"{interval.low:+.4f} to {interval.high:+.4f}", better]
            )
    print(markdown_table(rows, ["method", "metric", "change", "95 % interval", "cases that are better"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
