"""What several students cost that are trained from one teacher in step: the teacher once, each student's step."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from ignite.engine import Events
from torch.utils.data import DataLoader

from kdseg.benchmark import new_trainer, one_thread
from kdseg.distill import Distiller, Teacher
from kdseg.engines import DistillationTrainer, FanOut, Training
from kdseg.handlers import ReproducibleEpochs
from kdseg.networks import ThinUNet, UNet

__all__ = ["benchmark_fan_out"]

WARM_UP = 1


def benchmark_fan_out(
    arms: Sequence[int] = (1, 2, 4, 8),
    method: str = "kd",
    size: Sequence[int] = (128, 128),
    batch: int = 8,
    teacher_channels: int = 64,
    steps: int = 5,
) -> list[dict[str, Any]]:
    """Measure fan-outs of K arms on this machine's CPU, with the networks of the coronary bundle.

    Times are CPU time of one thread and the shortest of the steps. A student's own step is that of an ordinary training
    without the teacher's forward in it, which is timed by itself, in the same steps.

    Args:
        arms: numbers of arms.
        method: the distillation method of all arms.
        size: spatial size of the crops.
        batch: crops in a batch.
        teacher_channels: base width of the teacher, a UNet; the students are ThinUNets.
        steps: how many are timed.

    Returns:
        One dictionary a number of arms: ``arms``; ``teacher_ms``, T; ``student_ms``, S; ``fan_out_ms``, a step of all
        arms; ``ratio`` = fan_out / (T + K·S); ``separate`` = fan_out / (K·(T + S)).
    """
    with one_thread():
        torch.manual_seed(0)
        teacher = UNet(len(size), base_channels=teacher_channels)
        teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        item = {"image": torch.randn(1, *size), "label": (torch.randn(1, *size) > 1).float()}
        loader: DataLoader[Any] = DataLoader([item] * (batch * (steps + WARM_UP)), batch_size=batch)  # type: ignore[arg-type]
        taught, whole = _separate(_trainer(method, teacher, loader, size))
        own = whole - taught
        rows = []
        for count in arms:
            together = _together([_trainer(method, teacher, loader, size) for _ in range(count)])
            times = {"teacher_ms": taught, "student_ms": own, "fan_out_ms": together}
            ratios = {"ratio": together / (taught + count * own), "separate": together / (count * whole)}
            rounded = {name: round(1000 * seconds, 1) for name, seconds in times.items()}
            rows.append({"arms": count, **rounded, **{name: round(value, 3) for name, value in ratios.items()}})
        return rows


def _separate(trainer: DistillationTrainer) -> tuple[float, float]:
    """Seconds of the teacher's forward and of the whole step in an ordinary training."""
    ticks, forwards = [time.process_time()], []
    teacher = trainer.distiller.teacher
    plain: Callable[..., Any] = teacher.taps

    def timed(image: torch.Tensor) -> Any:
        started = time.process_time()
        taps = plain(image)
        forwards.append(time.process_time() - started)
        return taps

    teacher.taps = timed  # type: ignore[method-assign]
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: ticks.append(time.process_time()))
    trainer.run()
    return min(forwards[WARM_UP:]), _shortest(ticks)


def _together(trainers: Sequence[DistillationTrainer]) -> float:
    """Seconds of a step of all."""
    ticks = [time.process_time()]
    arms = [Training(str(k), one) for k, one in enumerate(trainers)]
    FanOut(arms, lambda: ticks.append(time.process_time())).run()
    for arm in arms:
        if arm.error is not None:
            raise arm.error
    return _shortest(ticks)


def _shortest(ticks: Sequence[float]) -> float:
    return min(after - before for before, after in zip(ticks[WARM_UP:], ticks[WARM_UP + 1 :], strict=False))


def _trainer(method: str, teacher: UNet, loader: DataLoader[Any], size: Sequence[int]) -> DistillationTrainer:
    student = ThinUNet(len(size))
    student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    probe = (1, 1, *size)
    distiller = Distiller(student, Teacher(copy.deepcopy(teacher)), method, head="sigmoid", probe_shape=probe)
    return new_trainer(distiller, loader, train_handlers=[ReproducibleEpochs(0)])
