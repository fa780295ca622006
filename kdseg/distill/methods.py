"""The methods by name. All of it is data: a new method is one loss file and one entry here, or a plug-in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kdseg.distill.checked_terms import read_term
from kdseg.distill.losses_by_name import LOSSES
from kdseg.distill.schedules import Schedule
from kdseg.distill.terms import Method, Term
from kdseg.errors import UserError
from kdseg.plugins import Registry

__all__ = ["METHODS", "needs_labels", "read_method", "register_method"]


def read_method(value: object) -> Method:
    """A method, or the one whose terms a configuration writes: ``{term name: {"loss": …, "weight": …, …}}``.

    Raises:
        UserError: for anything else, and for a term that is not right.
    """
    if isinstance(value, Method):
        for term in value.terms.values():
            LOSSES.find(term.loss)
        return value
    if isinstance(value, Mapping) and value:
        return Method({name: read_term(name, parts) for name, parts in value.items()})
    expected = 'a Method or its terms: {"soft": {"loss": "logits", "weight": 1.0}}'
    raise UserError("method", found=repr(value), expected=expected, fix="write the terms as in docs/methods/README.md")


# Of two numbers a term has ``weight`` is the paper's, for ``balance: paper``. ``share`` is ours, for ``balance:
# gradient``: 1 for what compares probabilities, 0.5 for features and relations, 0.3 where there are several, 0.1 for a
# critic, whose gradient is noise until it has learnt something. Terms without a share belong to a formula as a whole.
_FADING = Schedule("decay", 0.5)

_SOFT_LABELS = {"logits": Term("soft_labels", weight=0.5), "overlap": Term("overlap", weight=1.0)}

_TINYUNET = {
    "features": Term("overhaul", ("enc2:pre", "enc4:pre"), weight=2.0, share=0.5, schedule=_FADING),
    "spatial": Term("spatial_graph", ("enc4:pre",), weight=0.1, share=0.3, schedule=_FADING),
}

_OWN = {
    "recommended": Method(
        # where there are no features, as of an ensemble, it is soft labels alone
        {**_SOFT_LABELS, **{name: replace(term, optional=True) for name, term in _TINYUNET.items()}},
        "kd and tinyunet together",
        "default",
    ),
    "kd": Method(_SOFT_LABELS, "arXiv 1503.02531, arXiv 2303.16296", "default"),
    "lightvessel": Method(
        {
            "fsd": Term(
                "feature_similarity", ("enc{deeper}", "up{deeper}"), weight=0.1, share=0.5, schedule=Schedule("decay")
            ),
            "asd": Term("adversarial_similarity", weight=0.1, share=0.1),
        },
        "arXiv 2211.00899 (ICASSP 2023)",
        "reconstruction",
    ),
    "graph_flow": Method(
        {
            "vertices": Term("graph_vertices", ("enc3", "dec3"), weight=1e-5, share=0.3),
            "edges": Term("graph_edges", ("enc3", "dec3"), weight=1e-9, share=0.3),
            "adversarial": Term("graph_adversarial", weight=0.1, share=0.1),
            "logits": Term("logits", weight=1.0, share=1.0),
        },
        "arXiv 2203.08667 (IEEE TMI 2022)",
        "reconstruction",
    ),
    "tinyunet": Method(_TINYUNET, "J. BUAA 2022, 48(8):1409–1417", "reconstruction"),
    "emkd": Method(
        {
            "prediction": Term("logits", weight=0.1, share=1.0, settings={"temperature": 4.0}),
            "importance": Term("importance_map", ("enc2", "enc4"), weight=0.9, share=0.3),
            "regions": Term("region_affinity", ("logits", "enc2", "enc4"), weight=0.9, share=0.3),
        },
        "arXiv 2108.09987 (IEEE TMI 2021)",
        "code",
    ),
    "fitnet": Method({"features": Term("fitnet", ("enc3", "dec3"), weight=10.0, share=0.5)}, "arXiv 1412.6550", "code"),
    "at": Method({"attention": Term("attention", ("enc3", "dec3"), weight=1e3, share=0.5)}, "arXiv 1612.03928", "code"),
    "ft": Method(
        {"factor": Term("factor", ("enc{deepest}",), weight=200.0, share=0.5)},
        "NeurIPS 2018 (arXiv 1802.04977)",
        "code",
    ),
    "vid": Method(
        {"information": Term("variational_information", ("enc{deepest}",), weight=1.0, share=0.5)},
        "CVPR 2019 (arXiv 1904.05835)",
        "code",
    ),
    "ofd": Method(
        {"features": Term("overhaul", ("enc3:pre", "enc4:pre"), weight=2.0, share=0.5)},
        "ICCV 2019 (arXiv 1904.01866)",
        "code",
    ),
    "coco": Method(
        {
            "relations": Term(
                "feature_similarity", ("enc3", "up3"), weight=1.0, share=0.5, settings={"similarity": "cross"}
            ),
            "adversarial": Term("image_adversarial", ("logits", "image"), weight=0.1, share=0.1),
        },
        "arXiv 2108.12173 (BIBM 2021)",
        "reconstruction",
    ),
    "adaptive_affinity": Method(
        {
            "logits": Term("logits", weight=0.1, share=1.0),
            "gram": Term("gram", ("enc{deepest}",), weight=0.9, share=0.3),
            "affinity": Term("adaptive_affinity", ("enc{deepest}",), weight=0.9, share=0.3),
            "field": Term("affinity_field", weight=0.0),
        },
        "arXiv 2404.02738 (SciTePress 2025)",
        "reconstruction",
    ),
    "fsp": Method(
        {"flow": Term("flow", ("enc{deepest}", "dec{deepest}"), weight=50.0, share=0.5)}, "FSP, CVPR 2017", "code"
    ),
    "sp": Method(
        {"similarity": Term("batch_similarity", ("enc{deepest}",), weight=3000 / 64, share=0.5)},
        "arXiv 1907.09682",
        "code",
    ),
    "nst": Method({"texture": Term("texture", ("enc{deepest}",), weight=50.0, share=0.5)}, "arXiv 1707.01219", "code"),
    "rkd": Method(
        {
            "distance": Term(
                "relational", ("enc{deepest}",), weight=25.0, share=0.3, settings={"relation": "distance"}
            ),
            "angle": Term("relational", ("enc{deepest}",), weight=50.0, share=0.3, settings={"relation": "angle"}),
        },
        "arXiv 1904.05068 (CVPR 2019)",
        "code",
    ),
    "skds": Method(
        {
            "logits": Term("logits", weight=10.0, share=1.0),
            "pairwise": Term("pairwise", ("enc{deepest}",), weight=1.0, share=0.3),
            "adversarial": Term("image_adversarial", ("logits", "image"), weight=0.1, share=0.1),
        },
        "SKDS, CVPR 2019 and TPAMI",
        "code",
    ),
    "ifvd": Method(
        {"variation": Term("class_variation", ("dec{finest}",), weight=20.0, share=0.5)}, "IFVD, ECCV 2020", "code"
    ),
    "cwd": Method(
        {
            "logits": Term("channel", weight=3.0, share=0.5),
            "features": Term("channel", ("dec{finest}",), weight=50.0, share=0.3, settings={"positions": 64 * 64}),
        },
        "arXiv 2011.13256 (ICCV 2021)",
        "code",
    ),
    "cirkd": Method(
        {
            "logits": Term("logits", weight=1.0, share=1.0),
            "images": Term("cross_image", ("dec{finest}",), weight=1.0, share=0.3),
            "pixels": Term("memory", ("dec{finest}", "logits"), weight=0.1, share=0.3, settings={"memory": "pixel"}),
            "regions": Term("memory", ("dec{finest}", "logits"), weight=0.1, share=0.3, settings={"memory": "region"}),
        },
        "arXiv 2204.06986 (CVPR 2022)",
        "code",
    ),
}

METHODS: Registry[Method] = Registry("method", "kdseg.methods", _OWN, read_method)
"""The methods by name. A new entry has the command line, the config, the docs table and the test contract at once."""


def register_method(name: str, method: Method | Mapping[str, Mapping[str, Any]]) -> None:
    """Add a method under a name.

    Args:
        name: what ``--method`` and the configuration call it.
        method: see :func:`read_method`.

    Raises:
        UserError: for a name that is taken, and terms that are not right.

    Example:
        >>> register_method("softly", {"soft": {"loss": "logits", "temperature": 4.0}})
    """
    METHODS.register(name, method)


def needs_labels(method: Method) -> bool:
    """Whether a term of the method reads the label map."""
    return any(LOSSES[term.loss].needs_labels for term in method.terms.values())
