"""Losses: one method family a file, a pure function and a thin Module beside it."""

from kdseg.losses.adversarial import AdversarialLoss, gradient_penalty
from kdseg.losses.base import IGNORED, DistillationLoss
from kdseg.losses.lightvessel import AdversarialSimilarityLoss, FeatureSimilarityLoss
from kdseg.losses.logits import LogitsLoss, logits_distillation
from kdseg.losses.supervised import SegmentationLoss

__all__ = [
    "IGNORED",
    "AdversarialLoss",
    "AdversarialSimilarityLoss",
    "DistillationLoss",
    "FeatureSimilarityLoss",
    "LogitsLoss",
    "SegmentationLoss",
    "gradient_penalty",
    "logits_distillation",
]
