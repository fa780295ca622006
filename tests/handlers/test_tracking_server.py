"""Tracking with a real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from kdseg.handlers.tracking import Tracking
from tests.handlers.mlflow_runs import artifact, history, runs, train

pytestmark = pytest.mark.usefixtures("sigterm")


def test_a_real_server(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    (tmp_path / "model.pt").write_bytes(b"weights")
    settings: dict[str, Any] = {"group": "one comparison", "experiment": "on a server"}
    for role in ("teacher", "student_alone", "student_distilled"):
        train(Tracking(tmp_path / "out", role, artifacts=[tmp_path / "model.pt"], **settings), epochs=2)
    assert capfd.readouterr() == ("", "")
    store = MlflowClient(server)
    found = runs(store, "on a server")
    assert [run.data.tags["kdseg.role"] for run in found] == ["teacher", "student_alone", "student_distilled"]
    assert {run.data.tags["kdseg.group"] for run in found} == {"one comparison"}
    assert {run.info.status for run in found} == {"FINISHED"}
    assert history(store, found[2], "train/fsd") == [(1, 0.5), (2, 0.5)]
    assert artifact(store, found[2], "model.pt") == "weights"
    assert "packages" in json.loads(artifact(store, found[0], "environment.json"))
    assert not (tmp_path / "mlflow.db").exists()
