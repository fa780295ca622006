"""Terms as a configuration writes them: every setting checked before a training starts."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kdseg.distill.losses_by_name import LOSSES
from kdseg.distill.schedules import read_schedule
from kdseg.distill.terms import Term
from kdseg.errors import UserError, suggestion
from kdseg.losses import DistillationLoss
from kdseg.losses.labels import Head

__all__ = ["changed_term", "make_loss", "read_term"]

_TERM_SETTINGS = ("weight", "taps", "teacher_taps", "schedule", "share")


def read_term(name: str, parts: Mapping[str, Any]) -> Term:
    """The term that ``{"loss": …, "weight": …, "taps": […], …}`` says; ``name`` is for messages.

    Without a weight its share of the supervised gradient is 0.5.

    Raises:
        UserError: for an unknown loss or setting, with the near name.
    """
    if not isinstance(parts, Mapping) or "loss" not in parts:
        expected = 'the name of a loss: {"loss": …, "weight": …}'
        raise UserError(
            f"method term {name!r}", found=repr(parts), expected=expected, fix=f"name one of {', '.join(LOSSES)}"
        )
    loss = str(parts["loss"])
    kind = LOSSES.find(loss, f"loss of the method term {name!r}")
    term = Term(loss, share=0.5 if math.isinf(kind.largest_weight) else None)
    return changed_term(name, term, {key: value for key, value in parts.items() if key != "loss"})


def changed_term(name: str, term: Term, changes: Mapping[str, Any]) -> Term:
    """The term with settings changed; the settings are checked against the loss's signature.

    A weight that is given is taken as it is: no share of the gradient finds another.
    """
    kind = LOSSES[term.loss]
    accepted = [key for key in inspect.signature(kind.__init__).parameters if key not in ("self", "head")]
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
    if weight > kind.largest_weight or ("share" in changes and not math.isinf(kind.largest_weight)):
        found = f"share {changes['share']}" if "share" in changes else f"weight {weight:g}"
        expected, fix = f"a weight from 0 to {kind.largest_weight:g}", "see the page of the method under docs/methods"
        raise UserError(f"method term {name!r}", found=found, expected=expected, fix=fix)
    share = changes.get("share", None if "weight" in changes else term.share)
    if share is not None and (not isinstance(share, (int, float)) or isinstance(share, bool) or share <= 0):
        where, fix = f"share of the method term {name!r}", "give a share of the supervised gradient such as 0.5"
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
