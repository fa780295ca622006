"""Trainings in step end bit for bit as they end one by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Events
from monai.data import CacheDataset, DataLoader
from monai.engines import SupervisedTrainer
from monai.transforms import Compose, RandFlipd, RandGaussianNoised
from monai.utils import set_determinism
from torch import nn
from torch.utils.data import RandomSampler

from kdseg.distill import Distiller, Teacher
from kdseg.engines import DistillationTrainer, FanOut, Training
from kdseg.engines.shared_batches import SharedBatches
from kdseg.handlers import ParaphraserWarmup, ReproducibleEpochs, TermWeights, TrainingCheckpoint
from kdseg.losses import SegmentationLoss
from kdseg.networks import UNet
from tests.tiny import SIZE, discriminator_step, images

METHODS = ["alone", "kd", "lightvessel", "graph_flow"]
STEPS = 3


@pytest.fixture(autouse=True)
def determinism_as_before() -> Iterator[None]:
    yield
    set_determinism(None)


def dataset() -> CacheDataset:
    keys = ["image", "label"]
    transform = Compose([RandFlipd(keys, 0.5), RandGaussianNoised("image", prob=0.8, std=0.2)])
    return CacheDataset(images(), transform, progress=False)


class Dropped(nn.Sequential):
    """A student that draws random numbers in every step."""

    def __init__(self) -> None:
        super().__init__(UNet(base_channels=2), nn.Dropout(0.2))


def build(method: str, data: CacheDataset, epochs: int = 3, folder: Path | None = None) -> SupervisedTrainer:
    """As the commands do: seeded, the student first, then all else."""
    set_determinism(seed=7)
    student = Dropped() if method == "dropout" else UNet(base_channels=2)
    # MONAI's loader draws a number for its transforms and starts the generator anew
    batches = DataLoader(data, batch_size=2, sampler=RandomSampler(data, num_samples=2 * STEPS))
    common: dict[str, Any] = {
        "device": torch.device("cpu"),
        "max_epochs": epochs,
        "train_data_loader": batches,
        "loss_function": SegmentationLoss("sigmoid"),
        "decollate": False,
    }
    handlers: list[Any] = [ReproducibleEpochs(7)]
    if method in ("alone", "dropout"):
        objects: dict[str, Any] = {"student": student, "optimizer": torch.optim.AdamW(student.parameters(), 0.01)}
        trainer = SupervisedTrainer(network=student, optimizer=objects["optimizer"], train_handlers=handlers, **common)
    else:
        teacher = UNet(base_channels=3)
        teacher.load_state_dict(teacher_weights())
        distilled = Distiller(student, Teacher(teacher), method, head="sigmoid", probe_shape=(1, 1, SIZE, SIZE))
        step = discriminator_step(distilled, 1e-3)
        optimizer = torch.optim.AdamW(distilled.trained_parameters(), 0.01)
        weights = TermWeights(distilled, every=3)
        objects = {"student": student, "terms": distilled.terms, "optimizer": optimizer, "critic": step.optimizer}
        objects["weights"] = weights
        handlers += [step, ParaphraserWarmup(steps=2, seed=7), weights]
        trainer = DistillationTrainer(network=distilled, optimizer=optimizer, train_handlers=handlers, **common)
    if folder is not None:
        TrainingCheckpoint(folder / f"{method}.pt", objects).attach(trainer)
    trainer.student = student  # type: ignore[attr-defined]
    return trainer


def teacher_weights() -> dict[str, torch.Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return UNet(base_channels=3).state_dict()


def end(trainer: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.student.state_dict().items()}


def alone(method: str, **settings: Any) -> dict[str, torch.Tensor]:
    trainer = build(method, dataset(), **settings)
    trainer.run()
    return end(trainer)


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, second[name]) for name, value in first.items())


def together(methods: list[str], folder: Path | None = None, epochs: int = 3) -> tuple[FanOut, dict[str, Any]]:
    data = dataset()
    arms = [Training(method, build(method, data, epochs, folder)) for method in methods]
    return FanOut(arms), {arm.name: arm.trainer for arm in arms}


def test_in_step_is_bit_for_bit_as_one_by_one() -> None:
    methods = [*METHODS, "dropout"]
    fan_out, trainers = together(methods)
    fan_out.run()
    for method in methods:
        assert trainers[method].state.iteration == 3 * STEPS
        assert same(alone(method), end(trainers[method])), method
    assert not same(end(trainers["alone"]), end(trainers["kd"]))


def test_the_teacher_runs_once_a_batch() -> None:
    fan_out, trainers = together(["alone", "kd", "lightvessel"])
    forwards: list[int] = []
    trainers["kd"].distiller.teacher.network.register_forward_hook(lambda *_: forwards.append(1))
    fan_out.run()
    assert len(forwards) == 3 * STEPS
    weights = [next(t.distiller.teacher.parameters()).data_ptr() for m, t in trainers.items() if m != "alone"]
    assert len(set(weights)) == 1
    assert all(trainer.state.epoch_seconds > 0 for trainer in trainers.values())


def test_an_arm_that_fails_leaves_the_others_as_they_would_be() -> None:
    # the first arm is the one that draws the batches for all
    fan_out, trainers = together(["lightvessel", "kd", "alone"])

    @trainers["lightvessel"].on(Events.ITERATION_STARTED(once=STEPS + 2))
    def fail() -> None:
        raise ValueError("not a number")

    fan_out.run()
    errors = {arm.name: arm.error for arm in fan_out.arms}
    assert isinstance(errors["lightvessel"], ValueError) and errors["kd"] is None
    assert same(alone("kd"), end(trainers["kd"])) and same(alone("alone"), end(trainers["alone"]))


def test_arms_that_were_stopped_at_different_epochs_catch_up(tmp_path: Path) -> None:
    alone("kd", epochs=1, folder=tmp_path)
    alone("alone", epochs=2, folder=tmp_path)
    fan_out, trainers = together(["alone", "kd"], tmp_path)
    fan_out.run()
    assert same(alone("kd"), end(trainers["kd"])) and same(alone("alone"), end(trainers["alone"]))


def test_a_finished_arm_is_left_as_it_is(tmp_path: Path) -> None:
    alone("kd", folder=tmp_path)
    fan_out, trainers = together(["kd", "alone"], tmp_path)
    steps: list[int] = []
    trainers["kd"].add_event_handler(Events.ITERATION_COMPLETED, lambda: steps.append(1))
    fan_out.run()
    assert not steps and same(alone("alone"), end(trainers["alone"]))


def test_batches_that_depend_on_the_training_are_refused() -> None:
    class Drawing(CacheDataset):
        def __getitem__(self, index: Any) -> Any:
            return {**super().__getitem__(index), "drawn": torch.rand(1)}

    batches = SharedBatches(DataLoader(Drawing(images(), progress=False), batch_size=2))
    first, second = iter(batches), iter(batches)
    torch.manual_seed(0)
    batches.start_epoch()
    batches.start_step()
    next(first)
    torch.rand(1)
    with pytest.raises(RuntimeError, match="cannot share their batches"):
        next(second)
