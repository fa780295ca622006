"""The running mean of the weights: its numbers, normalisation layers, and what a stop leaves of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from torch import nn

from kdseg.errors import UserError
from kdseg.handlers import BestModel, ReproducibleEpochs, TrainingCheckpoint, WeightAverage
from tests.tiny import distiller, images, trainer


def follow(average: WeightAverage, values: list[float]) -> None:
    """Steps after which the network's only weight has these values."""
    engine = Engine(lambda engine, value: nn.init.constant_(average.trained.weight, value))  # type: ignore[arg-type]
    average.attach(engine)  # type: ignore[arg-type]
    engine.run(values, max_epochs=1)


def test_the_mean_by_hand() -> None:
    network = nn.Linear(1, 1, bias=False)
    average = WeightAverage(network, steps=4)
    follow(average, [8.0, 0.0, 4.0, 4.0, 0.0])
    mean = 8.0
    # of the weights before: 2/11, 3/12, … and never more than 1 − 1/4
    for kept, value in ((2 / 11, 0.0), (3 / 12, 4.0), (4 / 13, 4.0), (5 / 14, 0.0)):
        mean = kept * mean + (1 - kept) * value
    assert average.network.weight.item() == pytest.approx(mean)
    follow(average, [0.0] * 200)
    assert average.network.weight.item() == pytest.approx(0.0)
    nn.init.constant_(average.network.weight, 1.0)
    follow(average, [0.0])
    # long after the start a step counts 1/4
    assert average.network.weight.item() == pytest.approx(0.75) and network.weight.item() == 0


def test_none_is_the_network_itself() -> None:
    network = nn.Linear(1, 1, bias=False)
    average = WeightAverage(network, steps=0)
    follow(average, [1.0, 3.0])
    assert average.network is network and average.state_dict() == {}
    average.load_state_dict({})


@pytest.mark.parametrize("steps", [-1, 0.99, True, "500"])
def test_anything_but_a_number_of_steps_is_refused(steps: Any) -> None:
    with pytest.raises(UserError, match="averaged_steps"):
        WeightAverage(nn.Linear(1, 1), steps)


def training(folder: Path, epochs: int, stop_after: int | None = None) -> Any:
    """A distillation whose averaged student is validated on the squares' images and saved."""
    distilled = distiller("kd")
    distilled.recorder.remove()
    average = WeightAverage(distilled.student, steps=5)
    engine = trainer(distilled, epochs=epochs, steps=4, handlers=[ReproducibleEpochs(3), average])
    parts = {"student": distilled.student, "averaged": average, "optimizer": engine.optimizer}
    TrainingCheckpoint(folder / "training.pt", parts).attach(engine)
    if stop_after is not None:

        @engine.on(Events.EPOCH_COMPLETED(once=stop_after))
        def kill() -> None:
            raise KeyboardInterrupt

    engine.average = average
    return engine


def test_a_killed_training_goes_on_with_the_same_mean(tmp_path: Path) -> None:
    whole = training(tmp_path / "whole", 3)
    whole.run()
    with pytest.raises(KeyboardInterrupt):
        training(tmp_path / "killed", 3, stop_after=2).run()
    resumed = training(tmp_path / "killed", 3)
    resumed.run()
    first, second = (one.average.network.state_dict() for one in (whole, resumed))
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    saved = torch.load(tmp_path / "killed" / "training.pt", weights_only=True)
    assert int(saved["averaged"]["n_averaged"]) == 12


def test_normalisation_layers_are_averaged_with_the_weights(tmp_path: Path) -> None:
    engine = training(tmp_path, 2)
    engine.run()
    mean, last = engine.average.network.state_dict(), engine.distiller.student.state_dict()
    moving = [name for name in last if name.endswith(("running_mean", "running_var"))]
    assert moving and all(not torch.equal(mean[name], last[name]) for name in moving)
    counts = [name for name in last if name.endswith("num_batches_tracked")]
    assert counts and all(torch.equal(mean[name], last[name]) for name in counts)
    # the statistics of the mean are those of what it computes: it says of the images nearly what the student says
    image = torch.stack([item["image"] for item in images()])
    student = engine.distiller.student.eval()
    with torch.no_grad():
        apart = (engine.average.network.eval()(image).sigmoid() - student(image).sigmoid()).abs().mean()
    assert 0 < apart < 0.1


def test_what_is_saved_is_the_mean(tmp_path: Path) -> None:
    average = WeightAverage(nn.Linear(1, 1, bias=False), steps=4)
    follow(average, [0.0, 4.0, 8.0])
    evaluator = Engine(lambda engine, batch: None)
    evaluator.state.best_metric_epoch = 1  # type: ignore[attr-defined]
    evaluator.state.epoch = 1
    BestModel(average.network, tmp_path / "model.pt")(evaluator)  # type: ignore[arg-type]
    saved = torch.load(tmp_path / "model.pt", weights_only=True)
    assert list(saved) == ["weight"] and saved["weight"].item() == average.network.weight.item() != 8.0
