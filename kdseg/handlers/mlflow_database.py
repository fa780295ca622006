"""MLflow's sqlite file is there whole or not at all: MLflow refuses for ever one that it was stopped from making."""

from __future__ import annotations

import contextlib
import functools
import logging
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from kdseg.files import whole_file

__all__ = ["prepare_database"]

logger = logging.getLogger(__name__)

Make = Callable[[Path], None]


def prepare_database(database: Path, make: Make) -> None:
    """Make a database that is absent; one that was not made to its end and holds no run is moved aside before.

    Args:
        database: the file.
        make: lets MLflow make its tables in a new file.

    Raises:
        sqlite3.Error: for a file that is no database, which MLflow would find out in two minutes.
        OSError, UserError: where nothing can be written.
    """
    from filelock import FileLock

    database.parent.mkdir(parents=True, exist_ok=True)
    # two trainings that start together would both make it
    with FileLock(database.with_name(f".{database.name}.lock"), timeout=120):
        if not database.exists() or database.stat().st_size == 0:
            _install(database, make)
        elif _is_half_made(database, make):
            aside = _move_aside(database)
            logger.warning(f"MLflow's {database.name} was not made to its end and holds no run: moved to {aside}")
            _install(database, make)


@contextlib.contextmanager
def _new_database(make: Make) -> Iterator[Path]:
    """A database with MLflow's tables, elsewhere: one that is stopped while it makes them is refused for ever."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        made = Path(folder) / "mlflow.db"
        make(made)
        yield made


def _install(database: Path, make: Make) -> None:
    with (
        _new_database(make) as made,
        whole_file(database) as temporary,
        contextlib.closing(sqlite3.connect(made)) as connection,
    ):
        # a copy of the file would lack what SQLite still keeps beside it
        connection.execute("VACUUM INTO ?", (str(temporary),))


def _is_half_made(database: Path, make: Make) -> bool:
    """Whether it has none but MLflow's tables, but not all of them as they are today, and no run."""
    tables, version, runs = _content(database)
    if runs or (tables, version) == _content_of_new(make)[:2]:
        return False
    return all(name in _content_of_new(make)[0] or name.startswith("_alembic_tmp_") for name in tables)


def _content(database: Path) -> tuple[frozenset[str], str, int]:
    """Names of its tables, the version of MLflow's tables, and the number of runs."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        versions = connection.execute("SELECT version_num FROM alembic_version") if "alembic_version" in tables else ()
        runs = connection.execute("SELECT count(*) FROM runs").fetchone()[0] if "runs" in tables else 0
        return frozenset(tables), "".join(version for (version,) in versions), runs


@functools.cache
def _content_of_new(make: Make) -> tuple[frozenset[str], str, int]:
    with _new_database(make) as made:
        return _content(made)


def _move_aside(database: Path) -> str:
    """Move it, and what SQLite keeps beside it, into a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix=f"{database.stem}-half-made-", dir=database.parent))
    for ending in ("", "-journal", "-wal", "-shm"):
        path = database.with_name(database.name + ending)
        if path.exists():
            path.replace(folder / path.name)
    return folder.name
