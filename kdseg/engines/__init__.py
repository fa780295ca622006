"""The distillation trainer and the inferers that MONAI lacks."""

from kdseg.engines.inferers import WholeImageInferer
from kdseg.engines.trainer import TERMS, DistillationTrainer, loss_terms

__all__ = ["TERMS", "DistillationTrainer", "WholeImageInferer", "loss_terms"]
