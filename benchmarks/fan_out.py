"""Prints what students cost that are trained from one teacher in step, as JSON: ``python benchmarks/fan_out.py``."""

from __future__ import annotations

import json

from kdseg.experiments.benchmark_fan_out import benchmark_fan_out

if __name__ == "__main__":
    print(json.dumps(benchmark_fan_out(), indent=2))
