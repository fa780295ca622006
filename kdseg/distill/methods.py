"""The losses and the methods by name. All of it is data: a new method is one loss file and one entry here."""

from __future__ import annotations

from kdseg.distill.terms import Method, Term
from kdseg.losses import (
    AdversarialSimilarityLoss,
    AttentionLoss,
    DistillationLoss,
    FactorLoss,
    FeatureSimilarityLoss,
    FitNetLoss,
    GraphAdversarialLoss,
    GraphEdgeLoss,
    GraphVertexLoss,
    ImportanceMapLoss,
    LogitsLoss,
    OverhaulLoss,
    RegionAffinityLoss,
    SpatialGraphLoss,
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
    "spatial_graph": SpatialGraphLoss,
    "importance_map": ImportanceMapLoss,
    "region_affinity": RegionAffinityLoss,
    "graph_vertices": GraphVertexLoss,
    "graph_edges": GraphEdgeLoss,
    "graph_adversarial": GraphAdversarialLoss,
}
"""The losses that a term can name."""

METHODS: dict[str, Method] = {
    "kd": Method({"logits": Term("logits", settings={"temperature": 1.0})}, "arXiv 1503.02531", "code"),
    "lightvessel": Method(
        {
            "fsd": Term("feature_similarity", ("enc{level}", "dec{level}"), weight=1.0),
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
    "ft": Method({"factor": Term("factor", ("enc3", "dec3"), weight=200.0)}, "NeurIPS 2018 (arXiv 1802.04977)", "code"),
    "vid": Method(
        {"information": Term("variational_information", ("enc3", "dec3"), weight=1.0)},
        "CVPR 2019 (arXiv 1904.05835)",
        "code",
    ),
    "ofd": Method({"features": Term("overhaul", ("enc{level}",), weight=1e-3)}, "ICCV 2019 (arXiv 1904.01866)", "code"),
}
"""The methods by name. A new entry has the command line, the config, the docs table and the test contract at once."""


def needs_labels(method: Method) -> bool:
    """Whether a term of the method reads the label map."""
    return any(LOSSES[term.loss].needs_labels for term in method.terms.values())
