"""The losses and the methods by name. All of it is data: a new method is one loss file and one entry here."""

from __future__ import annotations

from kdseg.distill.terms import Method, Term
from kdseg.losses import (
    AdaptiveAffinityLoss,
    AdversarialSimilarityLoss,
    AffinityFieldLoss,
    AttentionLoss,
    BatchSimilarityLoss,
    ChannelLoss,
    ClassVariationLoss,
    CrossImageLoss,
    DistillationLoss,
    FactorLoss,
    FeatureSimilarityLoss,
    FitNetLoss,
    FlowLoss,
    GramLoss,
    GraphAdversarialLoss,
    GraphEdgeLoss,
    GraphVertexLoss,
    ImageAdversarialLoss,
    ImportanceMapLoss,
    LogitsLoss,
    MemoryLoss,
    OverhaulLoss,
    OverlapLoss,
    PairwiseLoss,
    RegionAffinityLoss,
    RelationalLoss,
    SpatialGraphLoss,
    TextureLoss,
    VariationalInformationLoss,
)

__all__ = ["LOSSES", "METHODS", "needs_labels"]

LOSSES: dict[str, type[DistillationLoss]] = {
    "logits": LogitsLoss,
    "feature_similarity": FeatureSimilarityLoss,
    "adversarial_similarity": AdversarialSimilarityLoss,
    "fitnet": FitNetLoss,
    "attention": AttentionLoss,
    "factor": FactorLoss,
    "variational_information": VariationalInformationLoss,
    "overhaul": OverhaulLoss,
    "overlap": OverlapLoss,
    "spatial_graph": SpatialGraphLoss,
    "importance_map": ImportanceMapLoss,
    "region_affinity": RegionAffinityLoss,
    "graph_vertices": GraphVertexLoss,
    "graph_edges": GraphEdgeLoss,
    "graph_adversarial": GraphAdversarialLoss,
    "adaptive_affinity": AdaptiveAffinityLoss,
    "affinity_field": AffinityFieldLoss,
    "batch_similarity": BatchSimilarityLoss,
    "channel": ChannelLoss,
    "class_variation": ClassVariationLoss,
    "cross_image": CrossImageLoss,
    "flow": FlowLoss,
    "gram": GramLoss,
    "image_adversarial": ImageAdversarialLoss,
    "memory": MemoryLoss,
    "pairwise": PairwiseLoss,
    "relational": RelationalLoss,
    "texture": TextureLoss,
}
"""The losses that a term can name."""

METHODS: dict[str, Method] = {
    "kd": Method(
        {"logits": Term("logits", settings={"temperature": 1.0}), "overlap": Term("overlap", weight=0.0)},
        "arXiv 1503.02531",
        "code",
    ),
    "lightvessel": Method(
        {
            "fsd": Term("feature_similarity", ("enc{level}", "dec{level}"), weight=0.1),
            "asd": Term("adversarial_similarity", weight=0.1),
        },
        "arXiv 2211.00899 (ICASSP 2023)",
        "reconstruction",
    ),
    "graph_flow": Method(
        {
            "vertices": Term("graph_vertices", ("enc3", "dec3"), weight=1e-5),
            "edges": Term("graph_edges", ("enc3", "dec3"), weight=1e-9),
            "adversarial": Term("graph_adversarial", weight=0.1),
            "logits": Term("logits", weight=1.0),
        },
        "arXiv 2203.08667 (IEEE TMI 2022)",
        "reconstruction",
    ),
    "tinyunet": Method(
        {
            "features": Term("overhaul", ("enc2", "enc4"), weight=1e-5),
            "spatial": Term("spatial_graph", ("enc4",), weight=0.1),
        },
        "J. BUAA 2022, 48(8):1409–1417",
        "reconstruction",
    ),
    "emkd": Method(
        {
            "prediction": Term("logits", weight=0.1, settings={"temperature": 4.0}),
            "importance": Term("importance_map", ("enc2", "enc4"), weight=0.9),
            "regions": Term("region_affinity", ("logits", "enc2", "enc4"), weight=0.9),
        },
        "arXiv 2108.09987 (IEEE TMI 2021)",
        "code",
    ),
    "fitnet": Method({"features": Term("fitnet", ("enc3", "dec3"), weight=10.0)}, "arXiv 1412.6550", "code"),
    "at": Method({"attention": Term("attention", ("enc3", "dec3"), weight=1e3)}, "arXiv 1612.03928", "code"),
    "ft": Method(
        {"factor": Term("factor", ("enc{deepest}",), weight=200.0)}, "NeurIPS 2018 (arXiv 1802.04977)", "code"
    ),
    "vid": Method(
        {"information": Term("variational_information", ("enc{deepest}",), weight=1.0)},
        "CVPR 2019 (arXiv 1904.05835)",
        "code",
    ),
    "ofd": Method(
        {"features": Term("overhaul", ("enc3", "enc4"), weight=1e-5)}, "ICCV 2019 (arXiv 1904.01866)", "code"
    ),
    "coco": Method(
        {
            "relations": Term("feature_similarity", ("enc3", "dec3"), weight=1.0, settings={"similarity": "cross"}),
            "adversarial": Term("image_adversarial", ("logits", "image"), weight=0.1),
        },
        "arXiv 2108.12173 (BIBM 2021)",
        "reconstruction",
    ),
    "adaptive_affinity": Method(
        {
            "logits": Term("logits", weight=3.0),
            "gram": Term("gram", ("enc{deepest}",), weight=0.9),
            "affinity": Term("adaptive_affinity", ("enc{deepest}",), weight=0.9),
            "field": Term("affinity_field", weight=0.0),
        },
        "arXiv 2404.02738 (SciTePress 2025)",
        "reconstruction",
    ),
    "fsp": Method({"flow": Term("flow", ("enc{deepest}", "dec{deepest}"), weight=50.0)}, "FSP, CVPR 2017", "code"),
    "sp": Method(
        {"similarity": Term("batch_similarity", ("enc{deepest}",), weight=3000.0)}, "arXiv 1907.09682", "code"
    ),
    "nst": Method({"texture": Term("texture", ("enc{deepest}",), weight=50.0)}, "arXiv 1707.01219", "code"),
    "rkd": Method(
        {
            "distance": Term("relational", ("enc{deepest}",), weight=25.0, settings={"relation": "distance"}),
            "angle": Term("relational", ("enc{deepest}",), weight=50.0, settings={"relation": "angle"}),
        },
        "arXiv 1904.05068 (CVPR 2019)",
        "code",
    ),
    "skds": Method(
        {
            "logits": Term("logits", weight=10.0),
            "pairwise": Term("pairwise", ("enc{deepest}",), weight=1.0),
            "adversarial": Term("image_adversarial", ("logits", "image"), weight=0.1),
        },
        "SKDS, CVPR 2019 and TPAMI",
        "code",
    ),
    "ifvd": Method({"variation": Term("class_variation", ("enc{deepest}",), weight=20.0)}, "IFVD, ECCV 2020", "code"),
    "cwd": Method(
        {
            "logits": Term("channel", weight=3.0),
            "features": Term("channel", ("enc{deepest}",), weight=50.0),
        },
        "arXiv 2011.13256 (ICCV 2021)",
        "code",
    ),
    "cirkd": Method(
        {
            "logits": Term("logits", weight=1.0),
            "images": Term("cross_image", ("enc{deepest}",), weight=1.0),
            "pixels": Term("memory", ("enc{deepest}", "logits"), weight=0.1, settings={"memory": "pixel"}),
            "regions": Term("memory", ("enc{deepest}", "logits"), weight=0.1, settings={"memory": "region"}),
        },
        "arXiv 2204.06986 (CVPR 2022)",
        "code",
    ),
}
"""The methods by name. A new entry has the command line, the config, the docs table and the test contract at once."""


def needs_labels(method: Method) -> bool:
    """Whether a term of the method reads the label map."""
    return any(LOSSES[term.loss].needs_labels for term in method.terms.values())
