"""What a method is made of: terms, each a loss with its taps and its weight."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kdseg.distill.schedules import CONSTANT, Schedule
from kdseg.errors import UserError

__all__ = ["Method", "Term", "expand_taps"]

Standing = Literal["code", "paper", "reconstruction", "default"]


@dataclass(frozen=True)
class Term:
    """One term of a method.

    Args:
        loss: a name of :data:`kdseg.distill.methods.LOSSES`.
        taps: the taps that the loss reads, in its order. ``{level}`` stands for every level at which both networks have
            all taps of the list: ``("enc{level}", "dec{level}")`` becomes ``enc1, dec1, enc2, dec2, …``.
            ``{deepest}`` stands for the last of these levels only: ``("enc{deepest}",)`` is the deepest encoder level
            that both networks have.
        weight: factor of the term in the total loss; 0 leaves the term out.
        teacher_taps: the teacher's taps where they differ from the student's.
        settings: further arguments of the loss.
        schedule: how the weight changes over the training.
        share: the weight is not given but found: such that the term starts at this share of the supervised loss; see
            :class:`kdseg.handlers.TermWeights`, which does both.
    """

    loss: str
    taps: tuple[str, ...] = ("logits",)
    weight: float = 1.0
    teacher_taps: tuple[str, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    schedule: Schedule = CONSTANT
    share: float | None = None


@dataclass(frozen=True)
class Method:
    """A distillation method: its terms by name, where it comes from, and how sure we are of it.

    Args:
        terms: term name → :class:`Term`; the names appear in logs and in MLflow.
        paper: the reference.
        standing: "code" (authors' code), "paper", "reconstruction" (consistent with what is published) or "default".
    """

    terms: Mapping[str, Term]
    paper: str = "a method of the user's own"
    standing: Standing = "default"


def expand_taps(term: Term, student: Iterable[str], teacher: Iterable[str]) -> tuple[list[str], list[str]]:
    """The taps of a term for two networks, ``{level}`` and ``{deepest}`` written out.

    Args:
        term: the term.
        student: the taps that the student has.
        teacher: the taps that the teacher has.

    Raises:
        UserError: when no level has all taps in both networks, or when the lists differ in length.

    Example:
        >>> expand_taps(Term("feature_similarity", ("enc{level}",)), ["enc1", "enc2"], ["enc2", "enc3"])
        (['enc2'], ['enc2'])
        >>> expand_taps(Term("affinity", ("enc{deepest}", "logits")), ["enc1", "enc2"], ["enc1", "enc2", "enc3"])
        (['enc2', 'logits'], ['enc2', 'logits'])
    """
    patterns_s, patterns_t = term.taps, term.teacher_taps or term.taps
    if len(patterns_s) != len(patterns_t):
        found = f"{len(patterns_s)} for the student, {len(patterns_t)} for the teacher"
        raise UserError("taps of a term", found=found, expected="as many for both", fix="name them in pairs")
    patterns = (*patterns_s, *patterns_t)
    if not any(_is_pattern(pattern) for pattern in patterns):
        return list(patterns_s), list(patterns_t)
    has_s, has_t = set(student), set(teacher)
    numbers = sorted({int(digits) for tap in (*has_s, *has_t) for digits in re.findall(r"\d+$", tap)})
    levels = [
        number
        for number in numbers
        if all(_at(p, number) in has_s for p in patterns_s if _is_pattern(p))
        and all(_at(p, number) in has_t for p in patterns_t if _is_pattern(p))
    ]
    if not levels:
        raise UserError(
            f"taps {', '.join(patterns_s)}",
            found=f"no level that both networks have (student: {', '.join(sorted(has_s)) or 'none'}; "
            f"teacher: {', '.join(sorted(has_t)) or 'none'})",
            expected="at least one common level",
            fix="name the networks' modules in student_taps and teacher_taps",
        )
    if not any("{level}" in pattern for pattern in patterns):
        levels = levels[-1:]
    return [_at(p, n) for n in levels for p in patterns_s], [_at(p, n) for n in levels for p in patterns_t]


def _is_pattern(tap: str) -> bool:
    return "{level}" in tap or "{deepest}" in tap


def _at(pattern: str, level: int) -> str:
    return pattern.replace("{level}", str(level)).replace("{deepest}", str(level))
