"""All handlers of a training or an evaluation, put in their order in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.engines import Evaluator, Workflow
from monai.handlers import LrScheduleHandler, ValidationHandler
from torch import nn
from torch.optim import Optimizer

from kdseg.distill import Distiller
from kdseg.handlers.balance import TermWeights
from kdseg.handlers.case_overlays import CaseOverlays
from kdseg.handlers.case_table import CaseTable
from kdseg.handlers.checkpoints import StopEarly, TrainingCheckpoint
from kdseg.handlers.epoch_log import EpochLog
from kdseg.handlers.history import History
from kdseg.handlers.paraphraser_warmup import ParaphraserWarmup
from kdseg.handlers.progress import Progress
from kdseg.handlers.reproducible import ReproducibleEpochs
from kdseg.handlers.steps import DiscriminatorStep, GradientClipping, TermWatch
from kdseg.handlers.teacher_check import TeacherCheck
from kdseg.handlers.tracking import Tracking
from kdseg.handlers.training_record import RecordWriter, TrainingRecord
from kdseg.handlers.weight_average import WeightAverage
from kdseg.metrics.pooled import POOLED

__all__ = ["Distillation", "EvaluationHandlers", "TrainingHandlers"]


@dataclass(frozen=True)
class Distillation:
    """What a distillation adds to a training.

    Args:
        distiller: the plain distiller, also when the trainer's network wraps it.
        discriminator_optimizer: of ``distiller.discriminator_parameters()``.
        term_weights: keeps the terms in balance.
        teacher_evaluator: measures the teacher on the validation cases.
        paraphraser_steps: length of the paraphrasers' warm-up, where the method has some.
        measure_teacher: measure it before the first step.
        alone: score of the student alone on the same cases, for the teacher's lead.
    """

    distiller: Distiller
    discriminator_optimizer: Optimizer
    term_weights: TermWeights
    teacher_evaluator: Workflow
    paraphraser_steps: int = 1000
    measure_teacher: bool = True
    alone: float | None = None


class TrainingHandlers:
    """Every handler of a training, alone or distilled. Give it as the one handler of the trainer.

    Args:
        record: where the training's files go, and what it is.
        student: the network that is trained.
        averaged: the running mean of its weights, which is what is validated and saved.
        records: the cases that are trained on.
        evaluator: the validating engine.
        val_interval: epochs between two validations.
        lr_scheduler: stepped after every step.
        objects: what a stopped training needs to go on, see :class:`TrainingCheckpoint`.
        gradient_limit: see :class:`GradientClipping`.
        patience: see :class:`StopEarly`.
        resume: go on from ``training.pt``.
        mlflow: record the training in MLflow.
        progress: show a bar in a terminal.
        distillation: of a distilled student.
    """

    def __init__(
        self,
        record: TrainingRecord,
        student: nn.Module,
        averaged: WeightAverage,
        records: Sequence[Mapping[str, Any]],
        evaluator: Evaluator,
        val_interval: int,
        lr_scheduler: Any,
        objects: Mapping[str, Any],
        gradient_limit: float = 5.0,
        patience: int = 0,
        resume: bool = True,
        mlflow: bool = True,
        progress: bool = True,
        distillation: Distillation | None = None,
    ) -> None:
        folder, kd = record.output_dir, distillation
        tracking = Tracking(
            folder,
            record.role,
            experiment=record.task.name,
            datalist=record.datalist,
            parameters=record.settings,
            artifacts=[folder / "model.pt", folder / "task.json"],
            validator=evaluator,
            config=None if record.configuration is None else record.configuration.content,
        )
        checkpoint = TrainingCheckpoint(
            folder / "training.pt", objects, evaluator, key=record.key, every=val_interval, resume=resume
        )
        # The order of the handlers of one event is the order of this list.
        self.handlers: list[Any] = [
            ReproducibleEpochs(record.settings.get("seed", 0)),
            # a term that is no number is told before its gradient is taken
            TermWatch(),
            GradientClipping(gradient_limit),
            *([DiscriminatorStep(kd.distiller, kd.discriminator_optimizer), kd.term_weights] if kd else []),
            LrScheduleHandler(lr_scheduler, print_lr=False, epoch_level=False),
            averaged,
            ValidationHandler(interval=val_interval, validator=evaluator),
            # these tell what the validation has found
            EpochLog(evaluator, every=val_interval),
            History(folder / "history.csv", evaluator),
            *([tracking] if mlflow else []),
            *([Progress(record.role, evaluator)] if progress else []),
            # what an epoch leaves is complete: it is saved last, and loaded before a warm-up would be done again
            checkpoint,
            RecordWriter(record, records, student, evaluator),
            *([ParaphraserWarmup(folder, kd.paraphraser_steps, seed=record.settings.get("seed", 0))] if kd else []),
            *([TeacherCheck(kd.teacher_evaluator, alone=kd.alone)] if kd and kd.measure_teacher else []),
            StopEarly(evaluator, patience),
        ]

    def attach(self, trainer: Workflow) -> None:
        """Register them all."""
        for handler in self.handlers:
            handler.attach(trainer)


class EvaluationHandlers:
    """The case table, the pictures, and the record of an evaluation. Give it as the one handler of the evaluator.

    Args:
        record: of the training whose network is measured.
        output_dir: where tables and pictures go.
        section: of the data list.
        mlflow: record the evaluation in MLflow.
    """

    def __init__(self, record: TrainingRecord, output_dir: str | Path, section: str = "test", mlflow: bool = True):
        task = record.task
        tracking = Tracking(
            record.output_dir,
            record.role,
            experiment=task.name,
            datalist=record.datalist,
            parameters={key: record.settings.get(key) for key in ("method", "seed")} | {"section": section},
            artifacts=[Path(output_dir)],
            config=None if record.configuration is None else record.configuration.content,
        )
        single = [name for name in task.metrics if name not in POOLED]
        table = CaseTable(output_dir, metrics=single, classes=task.classes)
        self.handlers: list[Any] = [table, CaseOverlays(output_dir), *([tracking] if mlflow else [])]

    def attach(self, evaluator: Workflow) -> None:
        """Register them all."""
        for handler in self.handlers:
            handler.attach(evaluator)
