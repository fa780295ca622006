"""Losses: one method family a file, a pure function and a thin Module beside it."""

from kdseg.losses.adversarial import AdversarialLoss, gradient_penalty
from kdseg.losses.attention import AttentionLoss
from kdseg.losses.base import IGNORED, DistillationLoss
from kdseg.losses.emkd import ImportanceMapLoss, RegionAffinityLoss
from kdseg.losses.factor import FactorLoss
from kdseg.losses.fitnet import FitNetLoss
from kdseg.losses.graph_flow import GraphAdversarialLoss, GraphEdgeLoss, GraphVertexLoss
from kdseg.losses.lightvessel import AdversarialSimilarityLoss, FeatureSimilarityLoss
from kdseg.losses.logits import LogitsLoss, logits_distillation
from kdseg.losses.ofd import OverhaulLoss
from kdseg.losses.supervised import SegmentationLoss
from kdseg.losses.tinyunet import SpatialGraphLoss
from kdseg.losses.vid import VariationalInformationLoss

__all__ = [
    "IGNORED",
    "AdversarialLoss",
    "AdversarialSimilarityLoss",
    "AttentionLoss",
    "DistillationLoss",
    "FactorLoss",
    "FeatureSimilarityLoss",
    "FitNetLoss",
    "GraphAdversarialLoss",
    "GraphEdgeLoss",
    "GraphVertexLoss",
    "ImportanceMapLoss",
    "LogitsLoss",
    "OverhaulLoss",
    "RegionAffinityLoss",
    "SegmentationLoss",
    "SpatialGraphLoss",
    "VariationalInformationLoss",
    "gradient_penalty",
    "logits_distillation",
]
