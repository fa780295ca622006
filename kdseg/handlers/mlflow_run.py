"""One MLflow run that outlives an outage of its store: what cannot be sent waits, and training goes on."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kdseg._version import __version__
from kdseg.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from torch import Tensor, nn

__all__ = ["MlflowRun"]

logger = logging.getLogger(__name__)

SQLITE = "sqlite:///"


class MlflowRun:
    """A new run in an MLflow store.

    Args:
        uri: a database such as ``sqlite:///out/mlflow.db``, or the address of a server.
        experiment: name of the experiment, made when it is absent; its artifacts go to ``mlartifacts`` beside an sqlite
            file, and where the server says otherwise.
        name: name of the run.
        tags: tags of the run.

    Raises:
        UserError: when the store cannot be reached or refuses the run. Later failures are warnings: the first is told
            at once, records wait and are sent with the next one, and what is left at the end is told again.
    """

    def __init__(self, uri: str, experiment: str, name: str, tags: Mapping[str, str]) -> None:
        self.uri, self.name = uri, name
        self._waiting: deque[tuple[str, Callable[[], object]]] = deque()
        self._warned = False
        if "://" not in uri or uri.startswith("file:"):
            raise UserError(
                "tracking_uri",
                found=f"the folder {uri!r}",
                expected="a database or a server, because MLflow no longer keeps runs in folders",
                fix="write sqlite:///out/mlflow.db, or http://host:port of a running MLflow server",
            )
        try:
            # two trainings that start together would both make the tables of a new database
            with _first_use(uri):
                self._client = _quiet_client(uri)
                experiment_id = _experiment_id(self._client, uri, experiment)
                self.id = self._client.create_run(experiment_id, tags=dict(tags), run_name=name).info.run_id
        except UserError:
            raise
        # many libraries stand behind the kinds of store, and each has its own errors
        except Exception as error:
            raise UserError(
                "tracking_uri",
                found=f"{_public(uri)}, which does not answer as an MLflow store ({_reason(error, uri)})",
                expected="a database such as sqlite:///out/mlflow.db, or a running MLflow server",
                fix="start the server, or mend or unset MLFLOW_TRACKING_URI",
            ) from error

    def parameters(self, values: Mapping[str, str]) -> None:
        """Store parameters; those of over 500 characters become text artifacts."""
        from mlflow.entities import Param

        long = {name: value for name, value in values.items() if len(value) > 500}
        short = [Param(_allowed(name), value) for name, value in values.items() if name not in long]
        self._store("parameters", lambda: self._client.log_batch(self.id, params=short))
        for name, value in long.items():
            self.text(f"parameters/{_allowed(name)}.txt", value)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Store numbers of one step, usually an epoch."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        batch = [Metric(_allowed(name), value, now, step) for name, value in values.items()]
        self._store(f"metrics of step {step}", lambda: self._client.log_batch(self.id, metrics=batch))

    def tag(self, name: str, value: str) -> None:
        """Set one tag."""
        self._store(f"tag {name}", lambda: self._client.set_tag(self.id, name, value))

    def text(self, name: str, content: str) -> None:
        """Store a text as an artifact."""
        self._store(name, lambda: self._client.log_text(self.id, content, name))

    def file(self, path: Path) -> None:
        """Store a file, or a folder with all that is in it, as an artifact."""
        if path.is_dir():
            self._store(path.name, lambda: self._client.log_artifacts(self.id, str(path), artifact_path=path.name))
        else:
            self._store(path.name, lambda: self._client.log_artifact(self.id, str(path)))

    def model(self, network: nn.Module, example: Tensor, name: str, registered: str) -> None:
        """Store a network with the signature of its input and output, and register it.

        Args:
            network: in eval mode; it is pickled, so that loading it needs the package that it comes from.
            example: an input ``BCH[WD]``; its batch and spatial sizes are left open in the signature.
            name: of the model in the run.
            registered: name in the model registry; each call makes a new version.
        """
        self._store(f"model {name}", lambda: _log_model(self.uri, self.id, network, example, name, registered))

    def finish(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED."""
        self._store("the end of the run", lambda: self._client.set_terminated(self.id, status))
        if self._waiting:
            lost = ", ".join(what for what, _ in self._waiting)
            logger.warning(f"MLflow run {self.name} is not complete in {_public(self.uri)}; not stored: {lost}")
        else:
            logger.info(f"MLflow run {self.name} is {status} in {_public(self.uri)}")

    def _store(self, what: str, action: Callable[[], object]) -> None:
        self._waiting.append((what, action))
        while self._waiting:
            try:
                self._waiting[0][1]()
            # whatever the store throws, hours of training are worth more than their record
            except Exception as error:
                if not self._warned:
                    reason = _reason(error, self.uri)
                    logger.warning(f"MLflow does not take records ({reason}); training goes on and they are kept")
                    self._warned = True
                return
            self._waiting.popleft()


def _log_model(uri: str, run: str, network: nn.Module, example: Tensor, name: str, registered: str) -> None:
    import mlflow
    import torch
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    with torch.no_grad():
        output = network(example)

    def spec(tensor: Tensor, of: str) -> Schema:
        open_sizes = (-1, tensor.shape[1], *[-1] * (tensor.ndim - 2))
        return Schema([TensorSpec(tensor.numpy().dtype, open_sizes, of)])

    # MLflow keeps the address in the environment too, where it would be taken for the user's
    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    try:
        with mlflow.start_run(run_id=run):
            mlflow.pytorch.log_model(
                network,
                name=name,
                signature=ModelSignature(spec(example, "image"), spec(output, "logits")),
                registered_model_name=registered,
                # the other format is traced, for one size of image only
                serialization_format="pickle",
                # told, because MLflow would run the model in a process of its own to find out
                pip_requirements=[f"torch=={torch.__version__}", f"kdseg=={__version__}"],
            )
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]


def _first_use(uri: str) -> AbstractContextManager[object]:
    """A lock beside a sqlite file, nothing for servers."""
    if not uri.startswith("sqlite:///"):
        return nullcontext()
    from filelock import FileLock

    database = Path(uri.removeprefix("sqlite:///"))
    database.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(database.with_name(f".{database.name}.lock"), timeout=120)


def _quiet_client(uri: str) -> MlflowClient:
    """A client that prints nothing, tells nobody of its use, and gives up on a dead server in seconds, not minutes."""
    for variable, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    }.items():
        os.environ.setdefault(variable, value)
    import mlflow

    # MONAI imports mlflow first, and its telemetry starts on import
    with contextlib.suppress(ImportError):
        from mlflow.telemetry import set_telemetry_client

        set_telemetry_client()
    for library in ("mlflow", "alembic", "urllib3"):
        # what fails is told by the run, once
        logging.getLogger(library).setLevel(logging.ERROR)
    if uri.startswith(SQLITE):
        _check_database(_database(uri))
    return mlflow.MlflowClient(tracking_uri=uri)


def _experiment_id(client: MlflowClient, uri: str, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        location = (_database(uri).parent / "mlartifacts").as_uri() if uri.startswith(SQLITE) else None
        try:
            return client.create_experiment(name, artifact_location=location)
        except Exception:
            # another process may have made it in between
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        raise UserError(
            "experiment",
            found=f"{name!r}, which was deleted in MLflow",
            expected="an experiment that is active",
            fix=f"restore it with 'mlflow experiments restore -x {found.experiment_id}' or choose another name",
        )
    return found.experiment_id


def _database(uri: str) -> Path:
    return Path(uri.removeprefix(SQLITE).partition("?")[0]).resolve()


def _check_database(path: Path) -> None:
    # MLflow would try again for two minutes to open a file that cannot be opened
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA schema_version")


def _allowed(name: str) -> str:
    # a name that MLflow refuses would block all records behind it
    return re.sub(r"[^\w\-./: ]", "_", name)


def _public(uri: str) -> str:
    """The address without user name and password."""
    parts = urlsplit(uri)
    return uri.replace(f"{parts.netloc.rpartition('@')[0]}@", "", 1) if "@" in parts.netloc else uri


def _reason(error: Exception, uri: str) -> str:
    text = (str(error).strip() or "no message").splitlines()[0].replace(uri, _public(uri))
    return f"{type(error).__name__}: {text[:200]}"
