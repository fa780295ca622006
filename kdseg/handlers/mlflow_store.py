"""An MLflow store that takes records as often as they are sent, without doubling any."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from kdseg._version import __version__
from kdseg.errors import UserError
from kdseg.handlers.mlflow_database import prepare_database
from kdseg.handlers.mlflow_quiet import quiet_mlflow

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from torch import Tensor, nn

__all__ = ["SQLITE", "MlflowStore", "Record", "public_address", "reason"]

logger = logging.getLogger(__name__)

Record = Mapping[str, Any]
SQLITE = "sqlite:///"
# the tag by which a run is found again, so that sending it twice makes one
KEY = "kdseg.run"


class MlflowStore:
    """Sends records of runs to a database or a server; nothing is asked of it before the first is sent.

    Args:
        uri: a database such as ``sqlite:///out/mlflow.db``, or the address of a server.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._client: MlflowClient | None = None
        self._ids: dict[str, str] = {}
        self._refused: set[str] = set()

    def open_run(self, run: Record) -> str:
        """The id in MLflow of a run, which is made where it is absent.

        Args:
            run: its ``key``, ``experiment``, ``name``, ``tags``, ``start`` (milliseconds) and the ``parent``'s key.

        Raises:
            UserError: when the address is none of a store, or the experiment was deleted. MLflow and the many libraries
                behind its kinds of store have their own errors.
        """
        if self._client is None:
            self._client = _connected(self.uri)
        if run["key"] not in self._ids:
            experiment = _experiment_id(self._client, self.uri, run["experiment"])
            found = self._find(experiment, run["key"])
            if found is None:
                tags = {**run["tags"], KEY: run["key"]}
                parent = self._find(experiment, run["parent"]) if run["parent"] else None
                if parent is not None:
                    tags["mlflow.parentRunId"] = parent
                made = self._client.create_run(experiment, start_time=run["start"], tags=tags, run_name=run["name"])
                found = made.info.run_id
            self._ids[run["key"]] = found
        return self._ids[run["key"]]

    def send(self, run: Record, record: Record, folder: Path) -> None:
        """Store one record of a run; what is there already stays as it is.

        Args:
            run: see :meth:`open_run`.
            record: of a ``kind``, with what belongs to it.
            folder: from which the paths of files count.

        Raises:
            Exception: of MLflow and the libraries behind it, when the store does not take it. A record that no store
                would take is passed over with a warning, the first of a run.
        """
        from mlflow.exceptions import MlflowException

        id_ = self.open_run(run)
        assert self._client is not None
        try:
            _SENDERS[record["kind"]](self._client, id_, record, folder)
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            if run["key"] not in self._refused:
                logger.warning(
                    f"MLflow refuses {record['kind']} of run {run['name']}: {str(error).splitlines()[0][:200]}"
                )
            self._refused.add(run["key"])

    def log_model(self, run: Record, network: nn.Module, example: Tensor, name: str, registered: str) -> None:
        """See :meth:`kdseg.handlers.mlflow_run.MlflowRun.model`."""
        _log_model(self.uri, self.open_run(run), network, example, name, registered)

    def _find(self, experiment: str, key: str) -> str | None:
        assert self._client is not None
        found = self._client.search_runs([experiment], f"tags.`{KEY}` = '{key}'", max_results=1)
        return found[0].info.run_id if found else None


def _parameters(client: MlflowClient, run: str, record: Record, folder: Path) -> None:
    from mlflow.entities import Param

    client.log_batch(run, params=[Param(_allowed(name), value) for name, value in record["values"].items()])


def _metrics(client: MlflowClient, run: str, record: Record, folder: Path) -> None:
    from mlflow.entities import Metric

    points = [Metric(_allowed(name), value, time, step) for name, value, time, step in record["points"]]
    client.log_batch(run, metrics=points)


def _file(client: MlflowClient, run: str, record: Record, folder: Path) -> None:
    path = folder / record["path"]
    if path.is_dir():
        client.log_artifacts(run, str(path), artifact_path=path.name)
    elif path.is_file():
        client.log_artifact(run, str(path))
    else:
        logger.warning(f"MLflow: {path.name} was to be stored with the run but is no longer there")


_SENDERS: dict[str, Callable[[MlflowClient, str, Record, Path], object]] = {
    "parameters": _parameters,
    "metrics": _metrics,
    "tag": lambda client, run, record, folder: client.set_tag(run, record["name"], record["value"]),
    "text": lambda client, run, record, folder: client.log_text(run, record["content"], _allowed(record["name"])),
    "file": _file,
    "end": lambda client, run, record, folder: client.set_terminated(run, record["status"], record["time"]),
}


def public_address(uri: str) -> str:
    """The address without user name and password.

    Example:
        >>> public_address("http://anna:secret@host:5000")
        'http://host:5000'
    """
    parts = urlsplit(uri)
    return uri.replace(f"{parts.netloc.rpartition('@')[0]}@", "", 1) if "@" in parts.netloc else uri


def reason(error: Exception, uri: str) -> str:
    """An error in one line, without user name and password."""
    text = (str(error).strip() or "no message").splitlines()[0].replace(uri, public_address(uri))
    return f"{type(error).__name__}: {text[:300]}"


def _connected(uri: str) -> MlflowClient:
    if "://" not in uri or uri.startswith("file:"):
        expected = "a database or a server, because MLflow no longer keeps runs in folders"
        fix = "write sqlite:///out/mlflow.db, or http://host:port of a running MLflow server"
        raise UserError("tracking_uri", found=f"the folder {uri!r}", expected=expected, fix=fix)
    if uri.startswith(SQLITE):
        prepare_database(_database(uri), make=_make_tables)
    return _quiet_client(uri)


def _make_tables(database: Path) -> None:
    _quiet_client(f"{SQLITE}{database.as_posix()}").search_experiments(max_results=1)


def _database(uri: str) -> Path:
    return Path(uri.removeprefix(SQLITE).partition("?")[0]).resolve()


def _quiet_client(uri: str) -> MlflowClient:
    """A client that prints nothing, tells nobody of its use, and gives up on a dead server in seconds, not minutes."""
    for variable, value in {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}.items():
        os.environ.setdefault(variable, value)
    quiet_mlflow()
    import mlflow

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
        expected = "an experiment that is active"
        fix = f"restore it with 'mlflow experiments restore -x {found.experiment_id}' or choose another name"
        raise UserError("experiment", found=f"{name!r}, which was deleted in MLflow", expected=expected, fix=fix)
    return found.experiment_id


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


def _allowed(name: str) -> str:
    # a name that MLflow refuses would block all records behind it
    return re.sub(r"[^\w\-./: ]", "_", name)
