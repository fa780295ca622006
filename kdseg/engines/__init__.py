"""The distillation trainer, several trainings in step, and the inferers that MONAI lacks."""

from kdseg.engines.fan_out import FanOut, Training
from kdseg.engines.inferers import WholeImageInferer
from kdseg.engines.processes import leave_process_group
from kdseg.engines.trainer import TERMS, DistillationTrainer, loss_terms
from kdseg.engines.trusted_centre import TrustedCentreInferer

__all__ = [
    "TERMS",
    "DistillationTrainer",
    "FanOut",
    "Training",
    "TrustedCentreInferer",
    "WholeImageInferer",
    "leave_process_group",
    "loss_terms",
]
