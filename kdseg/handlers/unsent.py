"""What a run could not send to MLflow: records in a file, sent later by the same run or by ``kdseg sync``."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kdseg.errors import UserError
from kdseg.files import whole_file
from kdseg.handlers.mlflow_store import SQLITE, MlflowStore, Record, public_address, reason

__all__ = ["FOLDER", "Unsent", "address_from", "sync"]

logger = logging.getLogger(__name__)

FOLDER = "tracking_unsent"
# in one call to MLflow
MOST_METRICS = 1000


class Unsent:
    """Records of one run that wait, in their order, in memory and in a file that is there while any waits.

    Args:
        path: of the file.
        run: the run, its first line.
    """

    def __init__(self, path: Path, run: Record) -> None:
        self.path, self.run = path, run
        self.records: deque[Record] = deque()
        self._written = 0

    def send_to(self, store: MlflowStore) -> None:
        """Send what waits, one after the other.

        Raises:
            Exception: of MLflow and the libraries behind it, when the store does not take one; it waits on.
        """
        store.open_run(self.run)
        while self.records:
            batch, count = self._batch()
            store.send(self.run, batch, self.path.parent)
            for _ in range(count):
                self.records.popleft()
            # the file begins with what is sent: it is to be written anew
            self._written = 0

    def _batch(self) -> tuple[Record, int]:
        """What is sent in one call, and how many records that is: the metrics of many epochs together."""
        points: list[Any] = []
        for count, record in enumerate(self.records):
            if record["kind"] != "metrics" or len(points) + len(record["points"]) > MOST_METRICS:
                return ({"kind": "metrics", "points": points}, count) if count else (record, 1)
            points += record["points"]
        return {"kind": "metrics", "points": points}, len(self.records)

    def save(self) -> None:
        """Bring the file up to date. A disk that is full loses the record, not the training."""
        with contextlib.suppress(OSError, UserError):
            if not self.records:
                self.path.unlink(missing_ok=True)
                self.path.parent.rmdir()
            elif self._written and self.path.is_file():
                with self.path.open("a", encoding="utf-8") as file:
                    file.writelines(_line(record) for record in list(self.records)[self._written :])
            else:
                with whole_file(self.path) as temporary, temporary.open("w", encoding="utf-8") as file:
                    file.writelines(_line(record) for record in (self.run, *self.records))
            self._written = len(self.records)

    @classmethod
    def read(cls, path: Path) -> Unsent:
        """What a file holds; a last line that was cut off with its process is left out.

        Only files of the training's own folder are sent: the file may come from elsewhere.

        Raises:
            UserError: when there is no run in it.
        """
        lines = list(_records(path))
        if not lines or lines[0]["kind"] != "run":
            fix = "remove the file"
            raise UserError(path, found="no record of a run", expected="what kdseg could not send to MLflow", fix=fix)
        unsent = cls(path, lines[0])
        home = path.parent.parent.resolve()
        for record in lines[1:]:
            if record["kind"] == "file" and not (path.parent / record["path"]).resolve().is_relative_to(home):
                logger.warning(f"MLflow: {record['path']} is not sent, because it lies outside of {home.name}")
            else:
                unsent.records.append(record)
        return unsent


def sync(output_dir: str | Path, tracking_uri: str | None = None) -> Iterator[tuple[str, int, str | None]]:
    """Send what waits in a folder and all below it; what is sent is no longer there.

    Args:
        output_dir: of one training or of many.
        tracking_uri: another store than the one for which the records were meant.

    Yields:
        for each run its name, the number of records sent, and what stopped it, or None.
    """
    found = []
    for path in sorted(Path(output_dir).rglob(f"{FOLDER}/*.jsonl")):
        try:
            found.append(Unsent.read(path))
        except UserError as error:
            yield path.name, 0, str(error)
    # a nested run looks for its parent
    for unsent in sorted(found, key=lambda one: one.run["parent"] is not None):
        uri, count, stopped = tracking_uri or _address(unsent), len(unsent.records), None
        try:
            unsent.send_to(MlflowStore(uri))
        # whatever the store throws, others may take their records
        except Exception as error:
            stopped = reason(error, uri)
        unsent.save()
        yield unsent.run["name"], count - len(unsent.records), stopped


def address_from(uri: str, folder: Path) -> str:
    """How a store is written down: without password, and a database by its way from the folder, which may be moved."""
    if not uri.startswith(SQLITE):
        return public_address(uri)
    return SQLITE + Path(os.path.relpath(uri.removeprefix(SQLITE), folder)).as_posix()


def _address(unsent: Unsent) -> str:
    uri: str = unsent.run["uri"]
    if uri.startswith(SQLITE):
        return SQLITE + (unsent.path.parent / uri.removeprefix(SQLITE)).resolve().as_posix()
    # the user's may have a password
    named = os.environ.get("MLFLOW_TRACKING_URI", "")
    return named if public_address(named) == uri else uri


def _line(record: Record) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"


def _records(path: Path) -> Iterator[Record]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            record = json.loads(line)
            if isinstance(record, dict) and "kind" in record:
                yield record
