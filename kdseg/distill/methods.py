"""The losses and the methods by name. All of it is data: a new method is one loss file and one entry here."""

from __future__ import annotations

from kdseg.distill.terms import Method, Term
from kdseg.losses import AdversarialSimilarityLoss, DistillationLoss, FeatureSimilarityLoss, LogitsLoss

__all__ = ["LOSSES", "METHODS", "needs_labels"]

LOSSES: dict[str, type[DistillationLoss]] = {
    "logits": LogitsLoss,
    "feature_similarity": FeatureSimilarityLoss,
    "adversarial_similarity": AdversarialSimilarityLoss,
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
}
"""The methods by name. A new entry has the command line, the config, the docs table and the test contract at once."""


def needs_labels(method: Method) -> bool:
    """Whether a term of the method reads the label map."""
    return any(LOSSES[term.loss].needs_labels for term in method.terms.values())
