"""The distillation trainer and several trainings in step."""

from kdseg.engines.fan_out import FanOut, Training
from kdseg.engines.processes import average, is_main_process, join_process_group, leave_process_group
from kdseg.engines.trainer import TERMS, DistillationTrainer, loss_terms

__all__ = [
    "TERMS",
    "DistillationTrainer",
    "FanOut",
    "Training",
    "average",
    "is_main_process",
    "join_process_group",
    "leave_process_group",
    "loss_terms",
]
