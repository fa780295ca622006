"""One run in MLflow that decides nothing about its training: what cannot be sent waits, in the training's folder."""

from __future__ import annotations

import itertools
import logging
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdseg.handlers.mlflow_store import MlflowStore, public_address, reason
from kdseg.handlers.unsent import FOLDER, Unsent, address_from

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["MlflowRun"]

logger = logging.getLogger(__name__)

# after a call to the store it is left alone for so many times as long as the call took: at most 1 % of the time is its
REST = 99
# what MLflow takes in one call, and the longest text that it shows well
MOST_PARAMETERS = 100
LONGEST_PARAMETER = 500


class MlflowRun:
    """A new run in an MLflow store.

    A store that cannot be reached, refuses or is slow stops nothing: the first failure is a warning, records wait in
    ``tracking_unsent`` of the output folder and are sent with later ones, at the end, or by ``kdseg sync``.

    Args:
        uri: a database such as ``sqlite:///out/mlflow.db``, or the address of a server.
        experiment: name of the experiment, made when it is absent; its artifacts go to ``mlartifacts`` beside an sqlite
            file, and where the server says otherwise.
        name: name of the run.
        tags: tags of the run.
        output_dir: folder of the training.
        parent: the run within which this one is nested.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> run = MlflowRun(f"sqlite:///{folder}/mlflow.db", "example", "first", {}, folder)
        >>> run.metrics({"loss": 0.5}, step=1)
        >>> run.finish("FINISHED")
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        name: str,
        tags: Mapping[str, str],
        output_dir: Path,
        parent: MlflowRun | None = None,
    ) -> None:
        self.name = name
        self._key = secrets.token_hex(8)
        self._store = MlflowStore(uri)
        folder = output_dir.resolve() / FOLDER
        run = {
            "kind": "run",
            "key": self._key,
            "uri": address_from(uri, folder),
            "experiment": experiment,
            "name": name,
            "tags": dict(tags),
            "start": _now(),
            "parent": None if parent is None else parent._key,
        }
        self._unsent = Unsent(folder / f"{self._key}.jsonl", run)
        self._rest_until = 0.0
        self._warned = False
        # a new database takes a second, once
        if self._send():
            self._rest_until = 0.0

    def parameters(self, values: Mapping[str, str]) -> None:
        """Store parameters; those of over 500 characters become text artifacts."""
        short = {name: value for name, value in values.items() if len(value) <= LONGEST_PARAMETER}
        for some in _in_parts(short, MOST_PARAMETERS):
            self._put({"kind": "parameters", "values": some})
        for name in values.keys() - short.keys():
            self.text(f"parameters/{name}.txt", values[name])

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Store numbers of one step, usually an epoch."""
        now = _now()
        self._put({"kind": "metrics", "points": [(name, value, now, step) for name, value in values.items()]})

    def tag(self, name: str, value: str) -> None:
        """Set one tag."""
        self._put({"kind": "tag", "name": name, "value": value})

    def text(self, name: str, content: str) -> None:
        """Store a text as an artifact."""
        self._put({"kind": "text", "name": name, "content": content})

    def file(self, path: Path) -> None:
        """Store a file, or a folder with all that is in it, as an artifact; it is read when it is sent."""
        self._put({"kind": "file", "path": os.path.relpath(path, self._unsent.path.parent)})

    def model(self, network: nn.Module, example: Tensor, name: str, registered: str) -> None:
        """Store a network with the signature of its input and output, and register it, if the store takes records now.

        Args:
            network: in eval mode; it is pickled, so that loading it needs the package that it comes from.
            example: an input ``BCH[WD]``; its batch and spatial sizes are left open in the signature.
            name: of the model in the run.
            registered: name in the model registry; each call makes a new version.
        """
        if self._send():
            try:
                self._store.log_model(self._unsent.run, network, example, name, registered)
                return
            except Exception as error:
                self._warn(error)
        logger.warning(f"MLflow: {registered} is not registered")

    def finish(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED."""
        self._unsent.records.append({"kind": "end", "status": status, "time": _now()})
        if self._send():
            logger.info(f"MLflow run {self.name} is {status} in {public_address(self._store.uri)}")
        else:
            folder = self._unsent.path.parent.parent
            logger.info(f"MLflow run {self.name} is {status} and not complete: 'kdseg sync {folder}' sends the rest")

    def _put(self, record: Mapping[str, Any]) -> None:
        self._unsent.records.append(record)
        if time.monotonic() < self._rest_until:
            self._unsent.save()
        else:
            self._send()

    def _send(self) -> bool:
        """Send what waits; whether all of it was taken."""
        started, complete = time.monotonic(), False
        try:
            self._unsent.send_to(self._store)
            complete = True
        # whatever the store throws, hours of training are worth more than their record
        except Exception as error:
            self._warn(error)
        now = time.monotonic()
        self._rest_until = now + REST * (now - started)
        self._unsent.save()
        return complete

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            logger.warning(
                f"MLflow does not take records ({reason(error, self._store.uri)}); training goes on, and they are kept"
                f" in {self._unsent.path.parent}, from where 'kdseg sync' sends them"
            )
            self._warned = True


def _now() -> int:
    return int(time.time() * 1000)


def _in_parts(values: Mapping[str, str], most: int) -> Iterator[dict[str, str]]:
    items = iter(values.items())
    while part := dict(itertools.islice(items, most)):
        yield part
