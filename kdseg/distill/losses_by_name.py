"""The losses that a term of a method can name, and how to add one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kdseg import losses
from kdseg.errors import UserError
from kdseg.losses import DistillationLoss
from kdseg.plugins import Registry

__all__ = ["LOSSES", "register_loss"]

Kind = TypeVar("Kind", bound=type[DistillationLoss])


def _read(value: object) -> type[DistillationLoss]:
    if isinstance(value, type) and issubclass(value, DistillationLoss):
        return value
    fix = "derive it from kdseg.losses.DistillationLoss"
    raise UserError("loss", found=repr(value), expected="a class of losses", fix=fix)


LOSSES: Registry[type[DistillationLoss]] = Registry(
    "loss",
    "kdseg.losses",
    {
        "logits": losses.LogitsLoss,
        "feature_similarity": losses.FeatureSimilarityLoss,
        "adversarial_similarity": losses.AdversarialSimilarityLoss,
        "fitnet": losses.FitNetLoss,
        "attention": losses.AttentionLoss,
        "factor": losses.FactorLoss,
        "variational_information": losses.VariationalInformationLoss,
        "overhaul": losses.OverhaulLoss,
        "overlap": losses.OverlapLoss,
        "spatial_graph": losses.SpatialGraphLoss,
        "importance_map": losses.ImportanceMapLoss,
        "region_affinity": losses.RegionAffinityLoss,
        "graph_vertices": losses.GraphVertexLoss,
        "graph_edges": losses.GraphEdgeLoss,
        "graph_adversarial": losses.GraphAdversarialLoss,
        "adaptive_affinity": losses.AdaptiveAffinityLoss,
        "affinity_field": losses.AffinityFieldLoss,
        "batch_similarity": losses.BatchSimilarityLoss,
        "channel": losses.ChannelLoss,
        "class_variation": losses.ClassVariationLoss,
        "cross_image": losses.CrossImageLoss,
        "flow": losses.FlowLoss,
        "gram": losses.GramLoss,
        "image_adversarial": losses.ImageAdversarialLoss,
        "memory": losses.MemoryLoss,
        "pairwise": losses.PairwiseLoss,
        "relational": losses.RelationalLoss,
        "texture": losses.TextureLoss,
    },
    _read,
)
"""The losses by name; see :class:`kdseg.plugins.Registry`."""


def register_loss(name: str) -> Callable[[Kind], Kind]:
    """Decorate a subclass of :class:`kdseg.losses.DistillationLoss`, so that terms of methods can name it.

    Raises:
        UserError: for a name that is taken, and a class of another kind.

    Example:
        >>> @register_loss("constant")
        ... class ConstantLoss(DistillationLoss):
        ...     pass
    """

    def register(kind: Kind) -> Kind:
        LOSSES.register(name, kind)
        return kind

    return register
