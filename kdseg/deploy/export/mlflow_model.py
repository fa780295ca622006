"""A model of MLflow that takes images as they are and gives masks: ``mlflow models serve`` answers with it."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

from kdseg._version import __version__
from kdseg.deploy.export import served_student
from kdseg.deploy.export.job import Job, Written
from kdseg.errors import UserError
from kdseg.handlers.mlflow_quiet import quiet_mlflow
from kdseg.task import HISTORY_FILE, Task

__all__ = ["write_mlflow"]


def write_mlflow(job: Job) -> Written:
    """``mlflow/``: the student's folder and the code that loads it; no pickle.

    Raises:
        UserError: for outputs other than logits, because it is masks that it gives.
    """
    if job.output != "logits":
        fix = "leave --output out"
        raise UserError(
            "--to mlflow", found=f"--output {job.output}", expected="logits, of which masks are made", fix=fix
        )
    quiet_mlflow()
    import mlflow

    student, folder = job.work / "student", job.folder / "mlflow"
    student.mkdir()
    job.task.write(student)
    shutil.copy(job.trained.weights, student)
    if (job.trained.path / HISTORY_FILE).is_file():
        shutil.copy(job.trained.path / HISTORY_FILE, student)
    with warnings.catch_warnings():
        # MLflow would have an example of an input stored, and the images are patients'
        warnings.simplefilter("ignore", UserWarning)
        mlflow.pyfunc.save_model(
            folder,
            python_model=served_student.__file__,
            artifacts={"student": str(student)},
            signature=_signature(job.task),
            # told, because MLflow would run the model in a process of its own to find out
            pip_requirements=[f"kdseg=={__version__}"],
        )
    _forget_paths(folder)
    files = sorted(path.relative_to(job.folder).as_posix() for path in folder.rglob("*") if path.is_file())
    # what a reader opens first
    files.sort(key=lambda name: Path(name).name != "MLmodel")
    return Written(files)


def _forget_paths(folder: Path) -> None:
    """Take out where on this machine the code and the student were; MLflow looks beside ``MLmodel`` for both."""
    from mlflow.models import Model

    model = Model.load(str(folder))
    facts = model.flavors["python_function"]
    facts["model_code_path"] = Path(facts["model_code_path"]).name
    facts["artifacts"]["student"]["uri"] = facts["artifacts"]["student"]["path"]
    model.save(str(folder / "MLmodel"))


def _signature(task: Task) -> object:
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

    sides = (-1,) * (4 if task.kind == "volume" else 3)
    images = TensorSpec(np.dtype(np.float32), (*sides, 3) if task.colour else sides)
    masks = TensorSpec(np.dtype(np.uint8), sides)
    affine = [ParamSpec("affine", "double", np.eye(4).ravel().tolist(), shape=(-1,))]
    return ModelSignature(Schema([images]), Schema([masks]), ParamSchema(affine if task.kind == "volume" else []))
