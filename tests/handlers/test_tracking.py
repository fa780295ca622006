from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import MeanDice, StatsHandler, ValidationHandler, from_engine

from kdseg.errors import UserError
from kdseg.handlers.case_table import CaseTable
from kdseg.handlers.provenance import environment, without_private_parts
from kdseg.handlers.tracking import Tracking
from tests.handlers.mlflow_runs import artifact, client, distillation, history, runs, train

pytestmark = pytest.mark.usefixtures("sigterm")


def test_terms_appear_by_name_as_means_of_the_epoch(output_dir: Path) -> None:
    train(Tracking(output_dir, "student_distilled"), epochs=2)
    store = client(output_dir.parent)
    (run,) = runs(store)
    assert run.info.status == "FINISHED"
    assert history(store, run, "train/loss") == [(1, 2.5), (2, 2.5)]
    assert history(store, run, "train/supervised") == [(1, 2), (2, 2)]
    assert history(store, run, "train/fsd") == [(1, 0.5), (2, 0.5)]


def monai_training(output_dir: Path, **kwargs: Any) -> tuple[SupervisedTrainer, Tracking]:
    data = [{"image": torch.ones(2, 1, 8, 8), "label": torch.ones(2, 1, 8, 8)}]
    network = torch.nn.Conv2d(1, 1, 1)
    validator = SupervisedEvaluator(
        device="cpu",
        val_data_loader=data,
        network=torch.nn.Identity(),
        key_val_metric={"val_mean_dice": MeanDice(output_transform=from_engine(["pred", "label"]))},
        val_handlers=[CaseTable(metrics=["iou"])],
    )
    tracking = Tracking(output_dir, "student_alone", validator=validator, **kwargs)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.1)
    quiet = StatsHandler(name="quiet", output_transform=lambda output: None)
    trainer = SupervisedTrainer(
        device="cpu",
        max_epochs=2,
        train_data_loader=data,
        network=network,
        optimizer=optimizer,
        loss_function=torch.nn.BCEWithLogitsLoss(),
        # first in the list, so that all others come after it
        train_handlers=[tracking, ValidationHandler(interval=1, validator=validator), quiet],
    )
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: schedule.step())
    return trainer, tracking


def test_a_monai_training_with_validation_and_schedule(output_dir: Path) -> None:
    trainer, _ = monai_training(output_dir)
    trainer.run()
    store = client(output_dir.parent)
    (run,) = runs(store)
    assert history(store, run, "validation/val_mean_dice") == [(1, 1), (2, 1)]
    assert history(store, run, "validation/iou") == [(1, 1), (2, 1)]
    assert history(store, run, "validation/best_val_mean_dice") == [(1, 1)]
    assert history(store, run, "train/learning_rate") == [(1, 0.5), (2, pytest.approx(0.05))]
    assert len(history(store, run, "train/loss")) == 2
    assert run.data.params["max_epochs"] == "2"


def test_an_evaluation_is_a_run_of_its_own(output_dir: Path) -> None:
    evaluator = SupervisedEvaluator(
        device="cpu",
        val_data_loader=[{"image": torch.ones(1, 1, 8, 8), "label": torch.ones(1, 1, 8, 8), "case": ["a"]}],
        network=torch.nn.Identity(),
        val_handlers=[
            Tracking(output_dir, "teacher", artifacts=[output_dir / "cases.csv"]),
            CaseTable(output_dir, metrics=["dice"]),
        ],
    )
    evaluator.run()
    store = client(output_dir.parent)
    (run,) = runs(store)
    assert (run.info.status, run.data.tags["kdseg.stage"]) == ("FINISHED", "evaluate")
    assert run.data.metrics == {"evaluation/dice": 1}
    assert artifact(store, run, "cases.csv").splitlines() == ["case,dice", "a,1.0"]


def test_runs_of_one_data_list_are_grouped_and_have_names_of_their_own(output_dir: Path, tmp_path: Path) -> None:
    datalist = tmp_path / "angio.json"
    cases = [{"image": "images/MEIER_HANS.dcm", "label": "masks/1.png"}]
    datalist.write_text(json.dumps({"name": "angio", "training": cases * 3, "validation": cases, "test": []}))
    settings = {"experiment": "angiogram", "datalist": datalist, "parameters": {"method": "kd", "seed": 3}}
    for role in ("teacher", "student_alone", "student_distilled", "student_distilled"):
        train(Tracking(output_dir, role, **settings))
    store = client(output_dir.parent)
    found = runs(store, "angiogram")
    assert len({run.info.run_name for run in found}) == len(found) == 4
    assert found[3].info.run_name.startswith("student_distilled-kd-seed3-")
    (group,) = {run.data.tags["kdseg.group"] for run in found}
    assert {run.data.params["data.sha256"][:12] for run in found} == {group}
    assert (found[0].data.params["data.training"], found[0].data.params["data.test"]) == ("3", "0")
    tagged = store.search_runs([found[0].info.experiment_id], f"tags.`kdseg.group` = '{group}'")
    assert [run.data.tags["kdseg.role"] for run in tagged].count("student_distilled") == 2
    assert "MEIER" not in (tmp_path / "mlflow.db").read_bytes().decode("latin-1")


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
@pytest.mark.parametrize("handler_that_raises_again", [True, False])
def test_a_run_that_stops_says_so(
    output_dir: Path, error: type[BaseException], status: str, handler_that_raises_again: bool
) -> None:
    def step(engine: Engine, index: int) -> None:
        raise error("patient MEIER")

    engine = Engine(step)
    if handler_that_raises_again:
        StatsHandler(name="quiet", output_transform=lambda output: None).attach(engine)
    with pytest.raises(error):
        train(Tracking(output_dir, "teacher"), engine)
    (run,) = runs(client(output_dir.parent))
    assert (run.info.status, run.data.tags["kdseg.error"]) == (status, error.__name__)
    assert not any("MEIER" in value for value in run.data.tags.values())


def test_a_stop_by_the_system_is_a_kill(output_dir: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    engine = distillation()
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit):
        train(Tracking(output_dir, "teacher"), engine)
    assert runs(client(output_dir.parent))[0].info.status == "KILLED"


def test_artifacts_are_stored_after_the_other_handlers(output_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = distillation()
    pictures = output_dir / "overlays"
    tracking = Tracking(output_dir, "teacher", artifacts=[output_dir / "model.pt", pictures, output_dir / "absent.png"])
    tracking.attach(engine)

    @engine.on(Events.COMPLETED)
    def save() -> None:
        pictures.mkdir(parents=True)
        (pictures / "1.png").write_bytes(b"picture")
        torch.save({"weight": torch.ones(1)}, output_dir / "model.pt")

    engine.run([0, 1], max_epochs=1)
    store = client(output_dir.parent)
    (run,) = runs(store)
    assert {entry.path for entry in store.list_artifacts(run.info.run_id)} >= {"model.pt", "overlays"}
    assert store.list_artifacts(run.info.run_id, "overlays")[0].path == "overlays/1.png"
    stored = store.download_artifacts(run.info.run_id, "model.pt")
    assert torch.load(stored, weights_only=True)["weight"].item() == 1
    assert "absent.png" in caplog.text


def test_the_configuration_is_stored_without_private_parts(output_dir: Path) -> None:
    config = {"lr": 0.5, "rate": "@lr", "out": str(output_dir), "data": [{"image": "MEIER.dcm"}]}
    parameters = {"seed": 1, "rate": 0.5, "long": "x" * 501, "network": {"channels": [8, 16]}}
    metadata = {"name": "angiogram", "version": "0.1.0"}
    train(Tracking(output_dir, "student_alone", parameters=parameters, config={**config, "_meta_": metadata}))
    store = client(output_dir.parent)
    (run,) = runs(store)
    stored = json.loads(artifact(store, run, "config.json"))
    assert stored == {"lr": 0.5, "rate": "@lr", "out": "…/student", "data": "1 cases"}
    assert json.loads(artifact(store, run, "metadata.json")) == metadata
    assert run.data.params["rate"] == "0.5"
    assert run.data.params["network.channels"] == "[8, 16]"
    assert "long" not in run.data.params
    assert artifact(store, run, "parameters/long.txt") == "x" * 501


def test_the_environment_names_versions_and_no_one() -> None:
    recorded = environment()
    assert {"torch", "monai", "mlflow", "kdseg"} <= set(recorded["packages"])
    text = json.dumps(recorded)
    assert socket.gethostname() not in text
    assert str(Path.home()) not in text


def test_private_parts() -> None:
    given = {
        "paths": ["/data/anna/list.json", "C:\\anna\\list.json", "configs/train.json", Path("/x/model.pt")],
        "expression": f"$torch.load('{Path.home()}/model.pt')",
        "object": torch.nn.Identity(),
        "plain": [1, 2.5, True, None],
    }
    assert without_private_parts(given) == {
        "paths": ["…/list.json", "…/list.json", "configs/train.json", "…/model.pt"],
        "expression": "$torch.load('~/model.pt')",
        "object": "Identity",
        "plain": [1, 2.5, True, None],
    }


def test_bad_settings_are_told(output_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="did you mean 'student_alone'"):
        Tracking(output_dir, "student-alone")
    (tmp_path / "text.json").write_text("this is no data list, whatever its name says")
    with pytest.raises(UserError, match="no readable data list"):
        train(Tracking(output_dir, "teacher", datalist=tmp_path / "text.json"))


def test_the_terminal_stays_clean(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    train(Tracking(tmp_path / "student", "teacher", tracking_uri=f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"))
    assert capfd.readouterr() == ("", "")
    assert (tmp_path / "new" / "mlartifacts").is_dir()
