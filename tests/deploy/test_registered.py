"""Students out of MLflow's registry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import kdseg
from kdseg.errors import UserError
from tests.tasks import tiny_task, trained_folder


def test_a_registered_student(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    client = MlflowClient(uri)
    folder = tmp_path / "student"
    trained_folder(folder, tiny_task(), method="kd")
    experiment = client.create_experiment("tiny", artifact_location=(tmp_path / "artifacts").as_uri())
    run = client.create_run(experiment).info.run_id
    for name in ("task.json", "model.pt", "history.json"):
        client.log_artifact(run, str(folder / name))
    client.create_registered_model("tiny_student")
    client.create_model_version("tiny_student", "runs:/nothing", run)
    client.set_registered_model_alias("tiny_student", "best", "1")
    image = np.random.default_rng(0).integers(0, 255, (32, 32)).astype(np.uint8)
    expected = kdseg.load(folder)(image)
    for address in ("models:/tiny_student/1", "models:/tiny_student/latest", "models:/tiny_student@best"):
        student = kdseg.load(address)
        assert np.array_equal(student(image), expected) and student.maker == kdseg.load(folder).maker
    for address, told in (("models:/tiny_student/2", "no student there"), ("models:/other/latest", "no student there")):
        with pytest.raises(UserError, match=told):
            kdseg.load(address)
    with pytest.raises(UserError, match="models:/name/version"):
        kdseg.load("models:tiny")
