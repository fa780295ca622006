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
from tests.exports import SHALLOW, student_and_list
from tests.mlflow_server import free_port, wait_for
from tests.tasks import tiny_task

AFFINE = np.diag([0.9, 0.9, 3.0, 1.0])
TASKS = {
    "picture": tiny_task(network=SHALLOW),
    "colour": tiny_task(network=SHALLOW, colour=True),
    "volume": tiny_task(
        network=SHALLOW,
        head="softmax",
        kind="volume",
        classes=["a", "b"],
        dimensions=3,
        patch_size=[16, 16, 16],
        spacing=[1.8, 1.8, 3.0],
    ),
}


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
