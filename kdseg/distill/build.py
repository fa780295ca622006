"""A method from its name or from a user's own terms, every setting checked before training starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kdseg.distill.checked_terms import changed_term
from kdseg.distill.losses_by_name import LOSSES
from kdseg.distill.methods import METHODS, needs_labels, read_method
from kdseg.distill.terms import Method
from kdseg.errors import UserError, suggestion

__all__ = ["build_method", "describe_method"]


def build_method(method: str | Mapping[str, Any], settings: Mapping[str, Mapping[str, Any]] | None = None) -> Method:
    """The method of a name or of a user's own terms, with settings changed.

    Args:
        method: a name of :data:`METHODS`, or ``{term name: {"loss": …, "weight": …, "taps": […], …}}``.
        settings: term name → what to change: ``weight``, ``taps``, ``teacher_taps``, ``schedule``, ``share`` or any
            argument of the term's loss. See docs/balance.md for schedules and shares.

    Raises:
        UserError: for an unknown method, term, loss or setting, with the near name.

    Example:
        >>> build_method("kd", {"logits": {"weight": 0.5, "temperature": 4.0}}).terms["logits"].weight
        0.5
    """
    chosen = METHODS.find(method) if isinstance(method, str) else read_method(method)
    terms = dict(chosen.terms)
    for name, changes in (settings or {}).items():
        if name not in terms:
            expected = f"a term of the method: {', '.join(terms)}"
            raise UserError("method_args", found=repr(name), expected=expected, fix=suggestion(name, terms))
        terms[name] = changed_term(name, terms[name], changes)
    terms = {name: changed_term(name, term, {}) for name, term in terms.items() if term.weight != 0 or term.share}
    return replace(chosen, terms=terms)


def describe_method(name: str) -> dict[str, Any]:
    """What ``kdseg methods --json`` tells of a method: name, terms, taps, extra parts, labels, paper, standing.

    Example:
        >>> describe_method("kd")["taps"]
        ['logits']
    """
    method = METHODS[name]
    losses = [LOSSES[term.loss] for term in method.terms.values()]
    return {
        "name": name,
        "terms": {key: {"loss": term.loss, "weight": term.weight} for key, term in method.terms.items()},
        "taps": list(dict.fromkeys(tap for t in method.terms.values() for tap in (*t.taps, *(t.teacher_taps or ())))),
        "extra_parts": list(dict.fromkeys(part for loss in losses for part in loss.extra_parts)),
        "needs_labels": needs_labels(method),
        "paper": method.paper,
        "standing": method.standing,
    }
