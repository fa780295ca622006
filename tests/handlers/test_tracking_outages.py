"""Whatever becomes of the store, the training goes on, one warning tells of it, and every record arrives once."""

from __future__ import annotations

import json
import logging
import resource
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from ignite.engine import Engine, Events
from mlflow import MlflowClient

from kdseg.cli.main import main
from kdseg.handlers.mlflow_database import prepare_database
from kdseg.handlers.tracking import Tracking
from tests.handlers.mlflow_runs import artifact, client, distillation, history, runs, train
from tests.mlflow_server import free_port

pytestmark = pytest.mark.usefixtures("sigterm")


@pytest.fixture(autouse=True)
def quick(empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """These trainings are over before a store would be asked again, and MLflow takes a second to make its tables."""
    monkeypatch.setattr("kdseg.handlers.mlflow_run.REST", 0)
    monkeypatch.setattr("kdseg.handlers.mlflow_store._make_tables", lambda database: shutil.copy(empty_store, database))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


class Unreliable:
    """A client whose store is away for a while, or slow."""

    def __init__(self, store: MlflowClient, away: bool = False, seconds: float = 0) -> None:
        self.store, self.away, self.seconds = store, away, seconds
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        self.calls += 1
        time.sleep(self.seconds)
        if self.away:
            raise ConnectionError("no route to host")
        return getattr(self.store, name)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def unsent(output_dir: Path) -> list[Path]:
    return sorted(output_dir.glob("tracking_unsent/*.jsonl"))


def check_complete(store: MlflowClient, epochs: int) -> None:
    """One run, every record in it, and once."""
    (run,) = runs(store)
    assert run.info.status == "FINISHED"
    assert history(store, run, "train/loss") == [(epoch, 2.5) for epoch in range(1, epochs + 1)]
    assert run.data.params["max_epochs"] == str(epochs)
    assert "packages" in json.loads(artifact(store, run, "environment.json"))
    assert run.info.end_time >= run.info.start_time


@pytest.mark.parametrize("comes_back", [True, False])
def test_an_outage_stops_nothing_is_told_once_and_loses_nothing(
    output_dir: Path, comes_back: bool, caplog: pytest.LogCaptureFixture
) -> None:
    engine, tracking = distillation(), Tracking(output_dir, "teacher")
    tracking.attach(engine)

    @engine.on(Events.EPOCH_STARTED)
    def change(engine: Engine) -> None:
        assert tracking.run is not None
        store: Any = tracking.run._store
        if engine.state.epoch == 2:
            store._client = Unreliable(store._client, away=True)
        if engine.state.epoch == 4 and comes_back:
            store._client.away = False

    engine.run([0, 1], max_epochs=4)
    (told,) = warnings(caplog)
    assert "does not take records (ConnectionError: no route to host)" in told and "kdseg sync" in told
    if not comes_back:
        assert [
            step for step, _ in history(client(output_dir.parent), runs(client(output_dir.parent))[0], "train/loss")
        ] == [1]
        (file,) = unsent(output_dir)
        assert main(["sync", str(output_dir.parent)]) == 0
        assert not file.parent.exists()
    check_complete(client(output_dir.parent), 4)
    assert not unsent(output_dir)


def test_a_server_that_was_never_there_gets_all_of_it_later(
    output_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://anna:secret@127.0.0.1:{free_port()}")
    (output_dir / "overlays").mkdir(parents=True)
    (output_dir / "overlays" / "1.png").write_bytes(b"picture")
    train(Tracking(output_dir, "teacher", artifacts=[output_dir / "overlays"]), epochs=3)
    assert len(warnings(caplog)) == 1
    (file,) = unsent(output_dir)
    assert "secret" not in caplog.text + file.read_text()
    assert main(["sync", str(output_dir)]) == 1
    assert "the rest waits on (" in capsys.readouterr().out
    # the folder goes to where the store is
    moved, store = output_dir.parent / "moved", f"sqlite:///{output_dir.parent / 'mlflow.db'}"
    output_dir.rename(moved)
    kept = moved / "kept.jsonl"
    shutil.copy(moved / "tracking_unsent" / file.name, kept)
    assert main(["sync", str(moved), "--tracking-uri", store, "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told["error"] is None and told["sent"] >= 5
    # stopped after it sent and before it noted so, the last line cut off
    kept.write_text(kept.read_text() + '{"kind": "metr')
    (moved / "tracking_unsent").mkdir()
    kept.rename(moved / "tracking_unsent" / file.name)
    assert main(["sync", str(moved), "--tracking-uri", store]) == 0
    check_complete(client(moved.parent), 3)
    (run,) = runs(client(moved.parent))
    assert [entry.path for entry in client(moved.parent).list_artifacts(run.info.run_id, "overlays")] == [
        "overlays/1.png"
    ]
    assert main(["sync", str(moved)]) == 0
    assert "nothing waits" in capsys.readouterr().out


def test_a_full_disk(output_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    engine, tracking = distillation(), Tracking(output_dir, "teacher")
    engine.add_event_handler(
        Events.EPOCH_STARTED(once=2), lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (16384, limits[1]))
    )
    try:
        train(tracking, engine, epochs=3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert engine.state.epoch == 3 and len(warnings(caplog)) == 1
    assert main(["sync", str(output_dir)]) == 0
    check_complete(client(output_dir.parent), 3)


def test_a_slow_store_is_asked_seldom(output_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kdseg.handlers.mlflow_run.REST", 99)
    engine, tracking = distillation(), Tracking(output_dir, "teacher")
    tracking.attach(engine)
    calls: list[int] = []
    store: list[Unreliable] = []

    @engine.on(Events.STARTED)
    def slow_down() -> None:
        assert tracking.run is not None
        slow = Unreliable(tracking.run._store._client, seconds=0.1)  # type: ignore[arg-type]
        tracking.run._store._client = slow  # type: ignore[assignment]
        tracking.run._rest_until = 0
        store.append(slow)
        engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: calls.append(slow.calls))

    engine.run([0, 1], max_epochs=60)
    # one with the first epoch's records, then none for ten seconds; all others in one, and the end
    assert calls[0] == calls[-1] and store[0].calls - calls[0] <= 3
    check_complete(client(output_dir.parent), 60)


BROKEN = {
    "one table": "CREATE TABLE assessments (x INT)",
    "no version": "DELETE FROM alembic_version",
    "an older version": "UPDATE alembic_version SET version_num = '1bd49d398cd23'",
    "a table too few": "DROP TABLE assessments",
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_database_that_was_not_made_to_its_end(output_dir: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    database = output_dir.parent / "mlflow.db"
    if kind == "one table":
        database.unlink()
    with sqlite3.connect(database) as connection:
        connection.execute(BROKEN[kind])
    train(Tracking(output_dir, "teacher"), epochs=2)
    check_complete(client(output_dir.parent), 2)
    (aside,) = output_dir.parent.glob("mlflow-half-made-*")
    assert (aside / "mlflow.db").is_file()
    assert warnings(caplog) == [f"MLflow's mlflow.db was not made to its end and holds no run: moved to {aside.name}"]


def test_a_stop_while_it_is_made_leaves_no_half_of_it(tmp_path: Path) -> None:
    def stopped(database: Path) -> None:
        with sqlite3.connect(database) as connection:
            connection.execute(BROKEN["one table"])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_database(tmp_path / "mlflow.db", make=stopped)
    assert {path.name for path in tmp_path.iterdir()} <= {".mlflow.db.lock"}


def test_what_is_not_ours_to_mend_stays_as_it_is(output_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Runs of another version of MLflow, a database of something else, no database, a folder."""
    train(Tracking(output_dir, "teacher"))
    shutil.copy(output_dir.parent / "mlflow.db", output_dir.parent / "older.db")
    with sqlite3.connect(output_dir.parent / "older.db") as connection:
        connection.execute(BROKEN["an older version"])
    with sqlite3.connect(output_dir.parent / "clinic.db") as connection:
        connection.execute("CREATE TABLE metrics (patient TEXT)")
        connection.execute("CREATE TABLE patients (name TEXT)")
    (output_dir.parent / "text.db").write_text("this is no database, whatever its name says")
    for name in ("older.db", "clinic.db", "text.db"):
        before = (output_dir.parent / name).read_bytes()
        train(Tracking(output_dir / name, "teacher", tracking_uri=f"sqlite:///{output_dir.parent / name}"))
        assert len(unsent(output_dir / name)) == 1
        assert (output_dir.parent / name).read_bytes() == before or name == "clinic.db"
    train(Tracking(output_dir / "folder", "teacher", tracking_uri="mlruns"))
    assert "no longer keeps runs in folders" in warnings(caplog)[-1]
    assert len(warnings(caplog)) == 4
    assert not list(output_dir.parent.glob("*half-made*"))


def test_only_the_trainings_own_files_are_sent(output_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    (output_dir.parent / "secret.txt").write_text("key")
    train(Tracking(output_dir, "teacher", tracking_uri="mlruns"))
    (file,) = unsent(output_dir)
    with file.open("a") as stream:
        stream.write(json.dumps({"kind": "file", "path": "../../secret.txt"}) + "\n")
    store = f"sqlite:///{output_dir.parent / 'mlflow.db'}"
    assert main(["sync", str(output_dir), "--tracking-uri", store]) == 0
    (run,) = runs(client(output_dir.parent))
    assert "secret.txt" not in {entry.path for entry in client(output_dir.parent).list_artifacts(run.info.run_id)}
    assert "lies outside" in caplog.text


def test_a_record_that_no_store_takes_does_not_keep_others_back(
    output_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracking = Tracking(output_dir, "teacher", parameters={"a" * 300: 1})
    train(tracking, epochs=1)
    (run,) = runs(client(output_dir.parent))
    assert run.info.status == "FINISHED" and history(client(output_dir.parent), run, "train/loss")
    assert len(warnings(caplog)) == 1 and "MLflow refuses parameters" in caplog.text
