"""What a training leaves in its folder of itself: task, history, card, and what MONAI alone can run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from PIL import Image
from torch import nn

from kdseg.configuration import Configuration, compose_bundle, copy_bundle
from kdseg.data import content_hash, load_datalist
from kdseg.data.lists.datalist import save_datalist
from kdseg.handlers import RecordWriter, TrainingRecord
from kdseg.handlers.model_card import write_card
from kdseg.task import Task, network, open_trained, read_history, write_for_monai
from tests.bundles.tiny_bundles import CORONARY
from tests.handlers.mlflow_runs import artifact, client, runs
from tests.tasks import tiny_task

SETTINGS = {"method": "none", "seed": 3, "fold": None}


@pytest.fixture
def datalist(tmp_path: Path) -> Path:
    """Two cases for training, one for validation; a person's name in each."""
    sections: dict[str, list[dict[str, Any]]] = {"training": [], "validation": []}
    for number, section in enumerate(["training", "training", "validation"]):
        picture = np.random.default_rng(number).integers(0, 255, (32, 32), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / f"MEIER_{number}.png")
        Image.fromarray((picture > 128).astype(np.uint8) * 255).save(tmp_path / f"mask_{number}.png")
        record = {"image": f"MEIER_{number}.png", "label": f"mask_{number}.png", "case": f"MEIER_{number}"}
        sections[section].append(record)
    save_datalist({"labels": {"0": "background", "1": "thing"}, "root": ".", **sections}, tmp_path / "list.json")
    return tmp_path / "list.json"


def record(folder: Path, datalist: Path, task: Task | None = None, **changes: Any) -> TrainingRecord:
    known: dict[str, Any] = {**SETTINGS, **changes}
    return TrainingRecord(folder, task or tiny_task(), datalist, "student_alone", **known)


def run(made: TrainingRecord, student: nn.Module, finish: bool = True) -> None:
    """A trainer of two steps with a validation that has found the first epoch the best."""
    evaluator, trainer = Engine(lambda engine, batch: None), Engine(lambda engine, batch: None)
    evaluator.state.key_metric_name = "val_mean_dice"  # type: ignore[attr-defined]
    evaluator.state.best_metric, evaluator.state.best_metric_epoch = 0.25, 1  # type: ignore[attr-defined]
    trainer.state.device = torch.device("cpu")  # type: ignore[attr-defined]
    records = load_datalist(made.datalist, "training")
    RecordWriter(made, records, student, evaluator).attach(trainer)  # type: ignore[arg-type]

    @trainer.on(Events.EPOCH_COMPLETED)
    def save() -> None:
        torch.save(student.state_dict(), made.output_dir / "model.pt")
        if not finish:
            raise KeyboardInterrupt

    trainer.run([0, 1], max_epochs=1)


def test_the_history_names_no_case_and_no_path(tmp_path: Path, datalist: Path) -> None:
    made = record(tmp_path / "out", datalist, learning_rate=0.1)
    run(made, network(made.task))
    history = read_history(tmp_path / "out")
    assert history["images_sha256"] == sorted(content_hash(tmp_path / f"MEIER_{number}.png") for number in range(2))
    assert history["datalist"] == {"sha256": content_hash(datalist), "training": 2, "validation": 1}
    assert (history["role"], history["seed"], history["learning_rate"]) == ("student_alone", 3, 0.1)
    assert history["validation"] == {"metric": "val_mean_dice", "epoch": 1, "value": 0.25}
    assert (history["epochs"], history["steps"]) == (1, 2) and history["finished_at"] >= history["started_at"]
    assert {"kdseg", "torch", "monai"} <= set(history["packages"])
    for path in (tmp_path / "out").iterdir():
        # inference.json has to say where its weights are
        if path.name != "inference.json":
            content = path.read_bytes()
            assert b"MEIER" not in content and str(tmp_path).encode() not in content, path.name


def test_the_history_says_whether_the_training_had_stopped_improving(tmp_path: Path, datalist: Path) -> None:
    made = record(tmp_path / "out", datalist)
    (tmp_path / "out").mkdir()
    rising = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    for scores, stopped in ((rising, False), ([*rising, *[0.8] * 16], True), (rising[:7], None)):
        rows = [f"{epoch},{epoch},validation/val_mean_dice,{score}" for epoch, score in enumerate(scores, start=1)]
        # another metric beside it is none of its business
        rows += ["1,1,validation/other,5.0", "1,1,train/loss,5.0"]
        (tmp_path / "out" / "history.csv").write_text("\n".join(["epoch,step,name,value", *rows]) + "\n")
        run(made, network(made.task))
        found = read_history(tmp_path / "out")["improvement"]
        assert found["validations"] == len(scores) and found["has_stopped"] is stopped
        assert found["threshold"] == 0.005


def test_a_killed_training_has_its_task_and_no_card(tmp_path: Path, datalist: Path) -> None:
    made = record(tmp_path / "out", datalist)
    with pytest.raises(KeyboardInterrupt):
        run(made, network(made.task), finish=False)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"task.json", "history.json", "model.pt"}
    assert open_trained(tmp_path / "out").task.as_json() == made.task.as_json()
    assert "validation" not in read_history(tmp_path / "out")


def test_weights_of_another_training_are_not_taken_for_this_ones(tmp_path: Path, datalist: Path) -> None:
    made = record(tmp_path / "out", datalist)
    run(made, network(made.task))
    evaluator, trainer = Engine(lambda engine, batch: None), Engine(lambda engine, batch: None)
    trainer.state.device = torch.device("cpu")  # type: ignore[attr-defined]
    other = record(tmp_path / "out", datalist, tiny_task(clahe=True))
    RecordWriter(other, load_datalist(datalist, "training"), nn.Identity(), evaluator).start(trainer)  # type: ignore[arg-type]
    assert not [name for name in ("model.pt", "model.ts", "inference.json") if (tmp_path / "out" / name).exists()]
    run(made, network(made.task))
    # one that goes on keeps what it has
    trainer.state.iteration = 2
    RecordWriter(made, load_datalist(datalist, "training"), nn.Identity(), evaluator).start(trainer)  # type: ignore[arg-type]
    assert (tmp_path / "out" / "model.pt").is_file() and (tmp_path / "out" / "model.ts").is_file()


def test_the_key_tells_trainings_apart_and_not_places(tmp_path: Path, datalist: Path) -> None:
    first = record(tmp_path / "a", datalist).key
    moved = tmp_path / "moved" / "list.json"
    moved.parent.mkdir()
    moved.write_bytes(datalist.read_bytes())
    assert record(tmp_path / "b", moved).key == first
    others = [record(tmp_path / "a", datalist, tiny_task(clahe=True)).key, record(tmp_path / "a", datalist, seed=4).key]
    moved.write_text(moved.read_text() + " ")
    others.append(record(tmp_path / "a", moved).key)
    assert len({first, *others}) == 4


def test_the_same_training_of_a_copied_bundle_goes_on(tmp_path: Path) -> None:
    CORONARY.prepare(tmp_path)
    copy = copy_bundle(CORONARY.folder, tmp_path / "copy")
    keys = []
    for folder, changes in ((CORONARY.folder, {}), (copy, {}), (copy, {"epochs": 3}), (copy, {"clahe": True})):
        known = CORONARY.settings(tmp_path, "out", **changes)
        workflow = compose_bundle(folder, ["train"], known, own_logging=False)
        workflow.initialize()
        keys.append(workflow.parser.get_parsed_content("record").key)
    assert keys[0] == keys[1] and len(set(keys)) == 3


def test_mlflow_gets_the_configuration_the_task_and_the_weights(output_dir: Path, sigterm: None) -> None:
    work = output_dir.parent
    CORONARY.prepare(work)
    CORONARY.run(["train"], work, "student", mlflow=True, learning_rate=0.125)
    store = client(work)
    (run,) = runs(store, "coronary_angiogram")
    assert {entry.path for entry in store.list_artifacts(run.info.run_id)} >= {"model.pt", "task.json", "config.json"}
    config = json.loads(artifact(store, run, "config.json"))
    assert config["learning_rate"] == 0.125 and config["datalist"] == "…/mixed.json"
    assert json.loads(artifact(store, run, "task.json"))["network"]["base_channels"] == 2
    assert run.data.params["learning_rate"] == "0.125" and run.data.params["method"] == "none"
    assert json.loads(artifact(store, run, "metadata.json"))["version"]


def test_monais_own_workflow_has_no_configuration_to_record(tmp_path: Path, datalist: Path) -> None:
    made = record(tmp_path, datalist)
    assert made.configuration is None and made.key
    told = TrainingRecord(tmp_path, tiny_task(), datalist, "teacher", Configuration({"epochs": 2}))
    assert told.key != TrainingRecord(tmp_path, tiny_task(), datalist, "teacher", Configuration({"epochs": 3})).key


class Wandering(nn.Module):
    """What it does depends on the size of the image in a way that a trace cannot follow."""

    def __init__(self, in_channels: int = 1, out_channels: int = 1) -> None:
        super().__init__()
        self.layer = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.layer(image) * float(image.shape[-1])


def test_a_network_that_cannot_be_traced_says_so_and_promises_nothing(
    tmp_path: Path, datalist: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = tiny_task(network={"name": f"{__name__}.Wandering"})
    made = record(tmp_path / "out", datalist, task)
    with caplog.at_level("INFO", logger="kdseg"):
        run(made, network(task))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("task.json", "history.json", "model.pt", "README.md", "picture.png")
    }
    assert "inference.json" not in (tmp_path / "out" / "README.md").read_text()
    assert "no model.ts" in caplog.text


def test_a_traced_network_takes_images_of_every_size(tmp_path: Path) -> None:
    task = tiny_task()
    made = network(task).eval()
    assert {path.name for path in write_for_monai(tmp_path, task, made)} == {
        *("model.ts", "inference.json", "metadata.json")
    }
    script = torch.jit.load(tmp_path / "model.ts")
    for shape in ((1, 1, 32, 32), (2, 1, 48, 80)):
        image = torch.rand(shape)
        with torch.no_grad():
            torch.testing.assert_close(script(image), made(image))


def test_a_card_without_its_picture(tmp_path: Path, datalist: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = record(tmp_path / "out", datalist)
    run(made, network(made.task))
    text = (tmp_path / "out" / "README.md").read_text()
    assert "picture.png" in text and "2 training, 1 validation" in text and "| 0.2500 (epoch 1) |" in text
    assert not re.search(r"\{\w+\}", text)
    (tmp_path / "out" / "picture.png").unlink()
    (tmp_path / "MEIER_2.png").write_bytes(b"no picture")
    history = read_history(tmp_path / "out")
    write_card(tmp_path / "out", made.task, history, network(made.task).eval(), datalist, None)
    assert "picture.png" not in (tmp_path / "out" / "README.md").read_text()
    assert "no picture for the card" in caplog.text
