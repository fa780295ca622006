"""The MLflow model gives the student's masks, loaded in Python and over the wire."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow.exceptions import MlflowException

import kdseg
from kdseg.deploy.export import export
from kdseg.errors import UserError
from kdseg.task import Task, open_trained
from tests.exports import PICTURE, VOLUME, student_and_list
from tests.mlflow_server import free_port, wait_for

AFFINE = np.diag([0.9, 0.9, 3.0, 1.0])
TASKS = {"picture": PICTURE, "colour": PICTURE.changed({"colour": True}), "volume": VOLUME}


def exported(folder: Path, task: Task) -> tuple[Path, Path]:
    student, datalist = student_and_list(folder, task)
    export(open_trained(student), datalist, folder / "export", to=["mlflow"])
    return student, folder / "export" / "mlflow"


@pytest.mark.parametrize("name", TASKS)
def test_it_gives_the_masks_of_the_student(name: str, tmp_path: Path) -> None:
    student, model = exported(tmp_path, TASKS[name])
    # nothing of it is read from where it was trained
    shutil.move(student, tmp_path / "moved")
    sides = {"picture": (48, 64), "colour": (48, 64, 3), "volume": (24, 20, 16)}[name]
    images = np.random.default_rng(0).random((2, *sides), dtype=np.float32)
    volume = name == "volume"
    masks = mlflow.pyfunc.load_model(str(model)).predict(
        images, {"affine": AFFINE.ravel().tolist()} if volume else None
    )
    ours = kdseg.load(tmp_path / "moved")
    wanted = [ours((image, AFFINE))[0] if volume else ours(image) for image in images]
    assert masks.dtype == np.uint8 and np.array_equal(masks, np.stack(wanted)) and 0 < (masks > 0).mean() < 1
    text = (model / "MLmodel").read_text()
    assert str(tmp_path) not in text and str(Path(kdseg.__file__).parent) not in text and "/tmp" not in text
    # code and weights, nothing that runs what it likes when it is opened
    assert not [path for path in model.rglob("*") if path.suffix == ".pkl"]


def test_a_bad_image_is_told(tmp_path: Path) -> None:
    _, model = exported(tmp_path, TASKS["volume"])
    loaded = mlflow.pyfunc.load_model(str(model))
    with pytest.raises(MlflowException, match="values that are no numbers") as caught:
        loaded.predict(np.full((1, 24, 20, 16), np.nan, dtype=np.float32))
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"
    with pytest.raises(MlflowException):
        loaded.predict(np.zeros((1, 24, 20, 16), dtype=np.float32), {"affine": [1.0, 2.0]})


EXPORT_AND_ASK = """
import sys

from kdseg.cli.main import main

assert main(["export", *sys.argv[1:], "--to", "mlflow"]) == 0
from mlflow.telemetry import get_telemetry_client

assert get_telemetry_client() is None
"""


def test_nobody_is_told_of_it(tmp_path: Path) -> None:
    student, datalist = student_and_list(tmp_path, TASKS["picture"])
    words = [str(student), "--datalist", str(datalist), "--out", str(tmp_path / "export")]
    # MLflow keeps silent by itself where it thinks that it is tested, or was told so
    silent = {"MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "CI", "GITHUB_ACTIONS", "PYTEST_CURRENT_TEST"}
    known = {name: value for name, value in os.environ.items() if name not in silent}
    done = subprocess.run([sys.executable, "-c", EXPORT_AND_ASK, *words], capture_output=True, text=True, env=known)
    assert done.returncode == 0 and done.stderr == "", done.stderr[-2000:]


def test_masks_are_not_made_of_other_outputs(tmp_path: Path) -> None:
    student, datalist = student_and_list(tmp_path, TASKS["picture"])
    with pytest.raises(UserError, match="leave --output out"):
        export(open_trained(student), datalist, tmp_path / "export", to=["mlflow"], output="classes")


def test_it_is_served(tmp_path: Path) -> None:
    student, model = exported(tmp_path, TASKS["picture"])
    port = free_port()
    words = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(model), "--env-manager", "local"]
    words += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    log = tmp_path / "log.txt"
    # uvicorn is called by its name, and the test network is imported by its
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    known = {**os.environ, "PATH": path, "PYTHONPATH": str(Path(__file__).parents[3])}
    image = np.random.default_rng(0).integers(0, 256, (48, 64)).astype(np.uint8)
    with log.open("w") as stream:
        process = subprocess.Popen(words, stdout=stream, stderr=stream, cwd=tmp_path, env=known, start_new_session=True)
        try:
            wait_for(f"http://127.0.0.1:{port}/ping", process, log)
            body = json.dumps({"inputs": [image.tolist()]}).encode()
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=60) as answer:
                masks = json.load(answer)["predictions"]
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=30)
    assert np.array_equal(np.asarray(masks), kdseg.load(student)(image)[None])
