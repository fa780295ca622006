"""A comparison in MLflow: embedded, and on a server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from kdseg.cli.main import main
from tests.compare.test_compare import words, work  # noqa: F401 (a fixture)


@pytest.fixture(scope="module")
def compared(work: Path) -> Path:  # noqa: F811
    assert main(words(work, work / "tracked", "--methods", "kd,rkd", "--set", "batch_size=1", budget="2")) == 1
    return work / "tracked"


def check(uri: str) -> None:
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("coronary_angiogram")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if run.data.tags["kdseg.role"] == "comparison"]
    nested = {run.data.tags["kdseg.arm"]: run for run in runs if run is not parent}
    assert set(nested) == {"teacher", "alone", "kd", "rkd"}
    assert {run.data.tags["mlflow.parentRunId"] for run in nested.values()} == {parent.info.run_id}
    assert {arm: run.info.status for arm, run in nested.items()} == {
        "teacher": "FINISHED",
        "alone": "FINISHED",
        "kd": "FINISHED",
        "rkd": "FAILED",
    }
    assert nested["kd"].data.tags["kdseg.role"] == "student_distilled"
    assert {"train/logits", "validation/val_mean_dice", "test/dice"} <= set(nested["kd"].data.metrics)
    assert {"teacher/dice", "alone/dice", "kd/gain"} <= set(parent.data.metrics)
    names = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert {"report.html", "results.json", "cases.csv"} <= names
    assert "model.pt" in {file.path for file in client.list_artifacts(nested["kd"].info.run_id)}
    (version,) = client.search_model_versions("name='coronary_angiogram_student'")
    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    try:
        model = mlflow.pytorch.load_model(f"models:/coronary_angiogram_student/{version.version}")
        signature = mlflow.models.get_model_info(f"models:/coronary_angiogram_student/{version.version}").signature
    finally:
        mlflow.set_tracking_uri(before)
    assert signature.inputs.inputs[0].shape == (-1, 1, -1, -1)
    assert model(torch.zeros(1, 1, 32, 32)).shape == (1, 1, 32, 32)


def test_one_run_for_the_whole_and_one_nested_for_each_cell(compared: Path) -> None:
    check(f"sqlite:///{compared / 'mlflow.db'}")
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_a_real_server(
    server: str,
    work: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    assert main(words(work, tmp_path / "run", "--methods", "kd,rkd", "--set", "batch_size=1", budget="2")) == 1
    check(server)
    assert not list(tmp_path.rglob("mlflow.db"))


def test_it_can_be_switched_off(work: Path, tmp_path: Path, capsys: Any) -> None:  # noqa: F811
    assert main(words(work, tmp_path / "run", "--methods", "kd", "--set", "mlflow=false", budget="2")) == 0
    assert not list(tmp_path.rglob("mlflow.db"))
