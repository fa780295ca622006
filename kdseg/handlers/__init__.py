"""Ignite handlers: all that happens around the training step."""

from kdseg.handlers.balance import TermWeights
from kdseg.handlers.case_overlays import CaseOverlays
from kdseg.handlers.case_pictures import CasePictures
from kdseg.handlers.case_table import CaseTable, log_summary
from kdseg.handlers.checkpoints import BestModel, StopEarly, TrainingCheckpoint, fingerprint
from kdseg.handlers.epoch_log import EpochLog
from kdseg.handlers.history import History
from kdseg.handlers.paraphraser_warmup import ParaphraserWarmup
from kdseg.handlers.progress import Progress
from kdseg.handlers.reproducible import ReproducibleEpochs
from kdseg.handlers.steps import DiscriminatorStep, GradientClipping, TermWatch
from kdseg.handlers.teacher_check import TeacherCheck, validation_alone
from kdseg.handlers.tracking import Tracking
from kdseg.handlers.training import Distillation, EvaluationHandlers, TrainingHandlers
from kdseg.handlers.training_record import RecordWriter, TrainingRecord
from kdseg.handlers.weight_average import WeightAverage

__all__ = [
    "BestModel",
    "CaseOverlays",
    "CasePictures",
    "CaseTable",
    "DiscriminatorStep",
    "Distillation",
    "EpochLog",
    "EvaluationHandlers",
    "GradientClipping",
    "History",
    "ParaphraserWarmup",
    "Progress",
    "RecordWriter",
    "ReproducibleEpochs",
    "StopEarly",
    "TeacherCheck",
    "TermWatch",
    "TermWeights",
    "Tracking",
    "TrainingCheckpoint",
    "TrainingHandlers",
    "TrainingRecord",
    "WeightAverage",
    "fingerprint",
    "log_summary",
    "validation_alone",
]
