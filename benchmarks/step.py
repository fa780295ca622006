"""Prints what a distillation step costs, as a list in JSON: ``python benchmarks/step.py`` (some minutes)."""

from __future__ import annotations

import json

from kdseg.experiments.benchmark_step import benchmark_step

if __name__ == "__main__":
    print(json.dumps(benchmark_step(), indent=2))
