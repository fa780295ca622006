"""Tracking with a real server, and with one that goes away."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from ignite.engine import Engine, Events
from mlflow import MlflowClient

from kdseg.handlers.tracking import Tracking
from tests.handlers.mlflow_runs import artifact, client, distillation, history, runs, train

pytestmark = pytest.mark.usefixtures("sigterm")


class Outage:
    """A client whose store is away for a while."""

    def __init__(self, store: MlflowClient) -> None:
        self.store, self.away = store, False

    def __getattr__(self, name: str) -> Any:
        if self.away:
            raise ConnectionError("no route to host")
        return getattr(self.store, name)


@pytest.mark.parametrize("comes_back", [True, False])
def test_an_outage_stops_nothing_is_told_once_and_loses_nothing_if_it_ends(
    output_dir: Path, comes_back: bool, caplog: pytest.LogCaptureFixture
) -> None:
    engine, tracking = distillation(), Tracking(output_dir, "teacher")
    tracking.attach(engine)

    @engine.on(Events.EPOCH_STARTED)
    def change(engine: Engine) -> None:
        assert tracking.run is not None
        if engine.state.epoch == 2:
            tracking.run._client = Outage(tracking.run._client)
            tracking.run._client.away = True
        if engine.state.epoch == 4 and comes_back:
            tracking.run._client.away = False

    with caplog.at_level(logging.WARNING):
        engine.run([0, 1], max_epochs=4)
    assert engine.state.epoch == 4
    store = client(output_dir.parent)
    (run,) = runs(store)
    steps = [step for step, _ in history(store, run, "train/loss")]
    assert caplog.text.count("does not take records") == 1
    if comes_back:
        assert (steps, run.info.status) == ([1, 2, 3, 4], "FINISHED")
        assert "not complete" not in caplog.text
    else:
        assert steps == [1]
        assert "not stored: metrics of step 2, metrics of step 3, metrics of step 4, the end of the run" in caplog.text


def test_a_real_server(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    (tmp_path / "model.pt").write_bytes(b"weights")
    settings: dict[str, Any] = {"group": "one comparison", "experiment": "on a server"}
    for role in ("teacher", "student_alone", "student_distilled"):
        train(Tracking(tmp_path / "out", role, artifacts=[tmp_path / "model.pt"], **settings), epochs=2)
    assert capfd.readouterr() == ("", "")
    store = MlflowClient(server)
    found = runs(store, "on a server")
    assert [run.data.tags["kdseg.role"] for run in found] == ["teacher", "student_alone", "student_distilled"]
    assert {run.data.tags["kdseg.group"] for run in found} == {"one comparison"}
    assert {run.info.status for run in found} == {"FINISHED"}
    assert history(store, found[2], "train/fsd") == [(1, 0.5), (2, 0.5)]
    assert artifact(store, found[2], "model.pt") == "weights"
    assert "packages" in json.loads(artifact(store, found[0], "environment.json"))
    assert not (tmp_path / "mlflow.db").exists()
