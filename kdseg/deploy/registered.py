"""Students in MLflow's model registry: ``models:/name/version`` as a folder."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kdseg.errors import UserError
from kdseg.handlers.mlflow_quiet import quiet_mlflow
from kdseg.task import HISTORY_FILE

__all__ = ["local_folder"]

ADDRESS = re.compile(r"models:/(?P<name>[^/@]+)(/(?P<version>\d+|latest)|@(?P<alias>[^/@]+))")
NEEDED, WELCOME = ("task.json", "model.pt"), HISTORY_FILE


@contextmanager
def local_folder(place: str | Path) -> Iterator[str | Path]:
    """A folder as it is; of ``models:/name/version`` (or ``latest``, or ``models:/name@alias``) a copy, for a while.

    The task and the weights that lie beside the registered model in its run are taken: MLflow's own copy of the network
    is a pickle, which could run anything.

    Raises:
        UserError: when the address is no such address, or the registry at ``MLFLOW_TRACKING_URI`` has no such student.
    """
    if not str(place).startswith("models:"):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="kdseg-") as folder:
        _download(str(place), Path(folder))
        yield folder


def _download(address: str, folder: Path) -> None:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    quiet_mlflow()
    parts = ADDRESS.fullmatch(address)
    if parts is None:
        expected = "models:/name/version, models:/name/latest or models:/name@alias"
        raise UserError("student", found=f"'{address}'", expected=expected, fix="see the page of the model in MLflow")
    # named, because MLflow remembers an address that this process has used before
    client, name = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI")), parts["name"]
    try:
        if parts["alias"]:
            version = client.get_model_version_by_alias(name, parts["alias"])
        elif parts["version"] == "latest":
            version = max(client.search_model_versions(f"name='{name}'"), key=lambda one: int(one.version))
        else:
            version = client.get_model_version(name, parts["version"])
        run = str(version.run_id)
        there = {entry.path for entry in client.list_artifacts(run)}
        for file in (*NEEDED, *({WELCOME} & there)):
            client.download_artifacts(run, file, str(folder))
    except (MlflowException, OSError, ValueError) as error:
        raise UserError(
            address,
            found=f"no student there ({str(error).splitlines()[0][:200]})",
            expected=f"a registered model whose run holds {' and '.join(NEEDED)}",
            fix="set MLFLOW_TRACKING_URI to the store that kdseg compare wrote, and check the name",
        ) from error
