"""A method from its name or from a user's own terms, every setting checked before training starts."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kdseg.distill.methods import LOSSES, METHODS, needs_labels
from kdseg.distill.schedules import read_schedule
from kdseg.distill.terms import Method, Term
from kdseg.errors import UserError, suggestion
from kdseg.losses import DistillationLoss
from kdseg.losses.base import Head

__all__ = ["build_method", "describe_method", "make_loss"]

_TERM_SETTINGS = ("weight", "taps", "teacher_taps", "schedule", "share")


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
    if isinstance(method, str):
        if method not in METHODS:
            expected = f"one of {', '.join(METHODS)}"
            raise UserError("method", found=repr(method), expected=expected, fix=suggestion(method, METHODS))
        chosen = METHODS[method]
    else:
        chosen = Method({name: _own_term(name, parts) for name, parts in method.items()})
    terms = dict(chosen.terms)
    for name, changes in (settings or {}).items():
        if name not in terms:
            expected = f"a term of the method: {', '.join(terms)}"
            raise UserError("method_args", found=repr(name), expected=expected, fix=suggestion(name, terms))
        terms[name] = _changed(name, terms[name], changes)
    terms = {name: _changed(name, term, {}) for name, term in terms.items() if term.weight != 0 or term.share}
    return replace(chosen, terms=terms)


def _own_term(name: str, parts: Mapping[str, Any]) -> Term:
    if not isinstance(parts, Mapping) or "loss" not in parts:
        expected = 'the name of a loss: {"loss": …, "weight": …}'
        raise UserError(
            f"method term {name!r}", found=repr(parts), expected=expected, fix=f"name one of {', '.join(LOSSES)}"
        )
    loss = str(parts["loss"])
    if loss not in LOSSES:
        where = f"loss of the method term {name!r}"
        raise UserError(where, found=repr(loss), expected=f"one of {', '.join(LOSSES)}", fix=suggestion(loss, LOSSES))
    return _changed(name, Term(loss), {key: value for key, value in parts.items() if key != "loss"})


def _changed(name: str, term: Term, changes: Mapping[str, Any]) -> Term:
    """The term with settings changed; the settings are checked against the loss's signature."""
    accepted = [key for key in inspect.signature(LOSSES[term.loss].__init__).parameters if key not in ("self", "head")]
    settings = dict(term.settings)
    for key, value in changes.items():
        if key in accepted:
            settings[key] = value
        elif key not in _TERM_SETTINGS:
            known = [*_TERM_SETTINGS, *accepted]
            where = f"setting of the method term {name!r}"
            raise UserError(where, found=repr(key), expected=f"one of {', '.join(known)}", fix=suggestion(key, known))
    weight = changes.get("weight", term.weight)
    if not isinstance(weight, (int, float)) or isinstance(weight, bool) or weight < 0:
        fix = "give a weight such as 0.1; 0 leaves the term out"
        raise UserError(
            f"weight of the method term {name!r}", found=repr(weight), expected="a number, 0 or more", fix=fix
        )
    share = changes.get("share", term.share)
    if share is not None and (not isinstance(share, (int, float)) or isinstance(share, bool) or share <= 0):
        where, fix = f"share of the method term {name!r}", "give a share of the supervised loss such as 0.5"
        raise UserError(where, found=repr(share), expected="a number above 0", fix=fix)
    if share is not None and "weight" in changes:
        found, fix = f"weight {weight} and share {share}", "leave one of them out: a share finds the weight by itself"
        raise UserError(f"method term {name!r}", found=found, expected="a weight or a share", fix=fix)
    taps, teacher_taps = changes.get("taps", term.taps), changes.get("teacher_taps", term.teacher_taps)
    return replace(
        term,
        weight=float(weight),
        taps=_tuple(taps),
        teacher_taps=None if teacher_taps is None else _tuple(teacher_taps),
        settings=settings,
        schedule=read_schedule(changes.get("schedule", term.schedule), f"schedule of the method term {name!r}"),
        share=None if share is None else float(share),
    )


def _tuple(taps: str | Sequence[str]) -> tuple[str, ...]:
    return (taps,) if isinstance(taps, str) else tuple(taps)


def make_loss(term: Term, head: Head) -> DistillationLoss:
    """The loss of a term as a module, for a softmax or a sigmoid head."""
    return LOSSES[term.loss](head=head, **term.settings)


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
