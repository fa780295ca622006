"""A comparison on a local Ray cluster of two workers gives the table of this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kdseg.cli.main import main
from tests.compare.test_compare import cells, words, work  # noqa: F401 (a fixture)

ray = pytest.importorskip("ray")


@pytest.fixture
def cluster() -> Iterator[None]:
    threads = {"env_vars": {"OMP_NUM_THREADS": "1"}}
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env=threads)
    yield
    ray.shutdown()


def test_the_same_table_as_here(cluster: None, work: Path, tmp_path: Path) -> None:  # noqa: F811
    more = ["--methods", "kd,lightvessel,rkd", "--seeds", "2", "--set", "mlflow=false"]
    assert main(words(work, tmp_path / "here", *more, budget="2")) == 1
    assert main(words(work, tmp_path / "there", *more, "--engine", "ray", budget="2")) == 1
    tables = [(tmp_path / place / "cases.csv").read_text() for place in ("here", "there")]
    assert tables[0] == tables[1]
    done = cells(tmp_path / "there")
    assert done["all", "rkd", 1]["state"] == "failed" and "a batch of" in done["all", "rkd", 1]["reason"]
    results = [json.loads((tmp_path / place / "results.json").read_text()) for place in ("here", "there")]
    gains = [{name: method["gain"] for name, method in found["methods"].items()} for found in results]
    assert gains[0] == gains[1]
