"""Prints what the exact relations save, as a list in JSON: ``python benchmarks/relations.py`` (under three minutes)."""

from __future__ import annotations

import json

from kdseg.experiments.benchmark_relations import benchmark_relations

if __name__ == "__main__":
    print(json.dumps(benchmark_relations(), indent=2))
