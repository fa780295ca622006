"""Losses: one method family a file, a pure function and a thin Module beside it."""

from kdseg.losses.adversarial import AdversarialLoss, ImageAdversarialLoss, gradient_penalty
from kdseg.losses.affinity import AdaptiveAffinityLoss, AffinityFieldLoss
from kdseg.losses.attention import AttentionLoss
from kdseg.losses.base import DistillationLoss
from kdseg.losses.cirkd import CrossImageLoss, MemoryLoss
from kdseg.losses.cwd import ChannelLoss
from kdseg.losses.emkd import ImportanceMapLoss, RegionAffinityLoss
from kdseg.losses.factor import FactorLoss
from kdseg.losses.fitnet import FitNetLoss
from kdseg.losses.gram import FlowLoss, GramLoss, TextureLoss
from kdseg.losses.graph_flow import GraphAdversarialLoss, GraphEdgeLoss, GraphVertexLoss
from kdseg.losses.ifvd import ClassVariationLoss
from kdseg.losses.labels import IGNORED
from kdseg.losses.lightvessel import AdversarialSimilarityLoss, FeatureSimilarityLoss
from kdseg.losses.logits import LogitsLoss, SoftLabelLoss, logits_distillation
from kdseg.losses.ofd import OverhaulLoss
from kdseg.losses.overlap import OverlapLoss
from kdseg.losses.rkd import RelationalLoss
from kdseg.losses.similarity import BatchSimilarityLoss
from kdseg.losses.skds import PairwiseLoss
from kdseg.losses.supervised import SegmentationLoss
from kdseg.losses.tinyunet import SpatialGraphLoss
from kdseg.losses.vid import VariationalInformationLoss

__all__ = [
    "IGNORED",
    "AdaptiveAffinityLoss",
    "AdversarialLoss",
    "AdversarialSimilarityLoss",
    "AffinityFieldLoss",
    "AttentionLoss",
    "BatchSimilarityLoss",
    "ChannelLoss",
    "ClassVariationLoss",
    "CrossImageLoss",
    "DistillationLoss",
    "FactorLoss",
    "FeatureSimilarityLoss",
    "FitNetLoss",
    "FlowLoss",
    "GramLoss",
    "GraphAdversarialLoss",
    "GraphEdgeLoss",
    "GraphVertexLoss",
    "ImageAdversarialLoss",
    "ImportanceMapLoss",
    "LogitsLoss",
    "MemoryLoss",
    "OverhaulLoss",
    "OverlapLoss",
    "PairwiseLoss",
    "RegionAffinityLoss",
    "RelationalLoss",
    "SegmentationLoss",
    "SoftLabelLoss",
    "SpatialGraphLoss",
    "TextureLoss",
    "VariationalInformationLoss",
    "gradient_penalty",
    "logits_distillation",
]
