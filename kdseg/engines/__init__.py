"""The distillation trainer and the inferers that MONAI lacks."""

from kdseg.engines.inferers import WholeImageInferer
from kdseg.engines.trainer import TERMS, DistillationTrainer, loss_terms
from kdseg.engines.trusted_centre import TrustedCentreInferer

__all__ = ["TERMS", "DistillationTrainer", "TrustedCentreInferer", "WholeImageInferer", "loss_terms"]
