"""Several trainings in step: one data loader and one teacher forward for each batch, all else each its own."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from ignite.engine import Engine, Events
from monai.engines import SupervisedTrainer
from torch import Tensor

from kdseg.distill import Distiller, Teacher
from kdseg.engines.random_numbers import RandomNumbers
from kdseg.engines.shared_batches import SharedBatches

__all__ = ["FanOut", "Training"]


class Training:
    """One training of a fan-out. Make it right after its trainer: it keeps the random numbers as they stand then.

    Args:
        name: for messages.
        trainer: complete, not yet started.
        log: gets what the package logs while this arm runs.
    """

    def __init__(self, name: str, trainer: SupervisedTrainer, log: logging.Handler | None = None) -> None:
        self.name = name
        self.trainer = trainer
        self.log = log
        self.error: Exception | None = None
        """What stopped it."""
        self.running = True
        self.seconds = 0.0
        """Time of its steps in the current epoch, without what is shared."""
        self._random = RandomNumbers.now()
        # MONAI's loader has seeded the transforms when it was made
        self.transform = copy.deepcopy(getattr(self._dataset, "transform", None))
        trainer.add_event_handler(Events.EPOCH_STARTED, trainer.interrupt)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, trainer.interrupt)
        trainer.add_event_handler(Events.COMPLETED, self._complete)

    @property
    def _dataset(self) -> Any:
        return getattr(self.trainer.data_loader, "dataset", None)

    @property
    def distiller(self) -> Distiller | None:
        """Its distiller, when it has a teacher."""
        return getattr(self.trainer, "distiller", None)

    def advance(self, run: Callable[[], Any]) -> None:
        """Let it go on to its next stop, with its own random numbers; an error ends this arm alone."""
        logger = logging.getLogger("kdseg")
        if self.log is not None:
            logger.addHandler(self.log)
        self._random.restore()
        try:
            run()
        except Exception as error:
            self.error, self.running = error, False
        finally:
            self._random = RandomNumbers.now()
            if self.log is not None:
                logger.removeHandler(self.log)

    def start(self) -> None:
        """Up to its first step. A warm-up draws batches of its own, from transforms as this training has made them."""
        if self.transform is not None:
            self._dataset.transform = self.transform
        self.advance(self.trainer.run)

    def _complete(self) -> None:
        self.running = False


class FanOut:
    """Trains arms that have the same batches and the same teacher; each ends as if it had been trained by itself.

    The arms' trainers are stopped after every step (Ignite's ``interrupt``) and take turns; the random numbers of each
    are put back before its turn. The teacher runs once for a batch, with the taps that any arm needs. Arms that resume
    from different epochs catch up first. ``trainer.state.epoch_seconds`` is what an epoch's steps would have cost the
    arm alone: its own time, and that of batches and teacher.

    Args:
        arms: with trainers of the same epoch length and seed, loaders of the same data set (the object), and distillers
            whose teachers are equal. The first arm's loader serves all.
        after_step: is called after every step of all arms.
    """

    def __init__(self, arms: Sequence[Training], after_step: Callable[[], Any] = lambda: None) -> None:
        self.arms = arms
        self.batches = SharedBatches(arms[0].trainer.data_loader)
        self.after_step = after_step
        self.teacher = self._share_teacher()

    def run(self) -> None:
        """Train all arms to their ends; what stopped an arm before is in its ``error``."""
        for arm in self.arms:
            arm.start()
        while running := [arm for arm in self.arms if arm.running]:
            epoch = min(arm.trainer.state.epoch for arm in running)
            self._epoch([arm for arm in running if arm.trainer.state.epoch == epoch])

    def _epoch(self, arms: list[Training]) -> None:
        self.batches.start_epoch()
        for arm in arms:
            arm.seconds = 0.0
        if self.teacher is not None:
            self.teacher.seconds = 0.0
        for _ in range(len(self.batches)):
            self.batches.start_step()
            for arm in (arm for arm in arms if arm.running):
                shared, started = self._shared_seconds(), time.perf_counter()
                arm.advance(lambda arm=arm: self._go_on(arm))  # type: ignore[misc]
                arm.seconds += time.perf_counter() - started - (self._shared_seconds() - shared)
            self.after_step()
        self.batches.end_steps()
        for arm in (arm for arm in arms if arm.running):
            taught = self.teacher.seconds if self.teacher is not None and arm.distiller is not None else 0.0
            arm.trainer.state.epoch_seconds = arm.seconds + self.batches.seconds + taught
            # validation, checkpoint, and the start of the next epoch
            arm.advance(lambda arm=arm: self._go_on(arm))  # type: ignore[misc]

    def _go_on(self, arm: Training) -> None:
        # Ignite's own run: MONAI's makes a new gradient scaler each time
        Engine.run(arm.trainer, data=self.batches, max_epochs=arm.trainer.state.max_epochs)

    def _shared_seconds(self) -> float:
        return self.batches.seconds + (0.0 if self.teacher is None else self.teacher.seconds)

    def _share_teacher(self) -> _TeacherOfAll | None:
        distillers = [arm.distiller for arm in self.arms if arm.distiller is not None]
        if not distillers:
            return None
        teacher = distillers[0].teacher
        teacher.record(tap for one in distillers for _, taps in one.routes.values() for tap in taps)
        shared = _TeacherOfAll(teacher, self.batches)
        for one in distillers:
            _use_weights_of(teacher, one.teacher)
            # a teacher is no submodule of its distiller, see there
            object.__setattr__(one, "teacher", shared)
        return shared


class _TeacherOfAll:
    """A teacher that computes the taps of a batch once, whoever asks."""

    def __init__(self, teacher: Teacher, batches: SharedBatches) -> None:
        self.teacher = teacher
        self.batches = batches
        self.seconds = 0.0
        self._step: int | None = None
        self._taps: dict[str, Tensor] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.teacher, name)

    def taps(self, image: Tensor) -> dict[str, Tensor]:
        if self.batches.step is None:
            return self.teacher.taps(image)
        if self._step != self.batches.step:
            started = time.perf_counter()
            self._step, self._taps = self.batches.step, self.teacher.taps(image)
            self.seconds += time.perf_counter() - started
        return self._taps


def _use_weights_of(teacher: Teacher, other: Teacher) -> None:
    """Equal teachers need their weights in memory once."""
    for own, same in zip(other.parameters(), teacher.parameters(), strict=True):
        own.data = same.data
