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
        taps: the taps that the loss reads, in its order. A level that one of the networks lacks is taken at the nearest
            that both have, the taps of one level together. ``{level}`` stands for every level at which both have all
            taps of the list: ``("enc{level}", "dec{level}")`` becomes ``enc1, dec1, enc2, dec2, …``.
            ``{deeper}`` leaves out full resolution, ``{deepest}`` all levels but the last; ``{finest}`` is each
            network's own first level: ``dec{finest}`` is its last feature map before the classifier.
        weight: factor of the term in the total loss where ``share`` does not find it; 0 leaves the term out.
        teacher_taps: the teacher's taps where they differ from the student's.
        settings: further arguments of the loss.
        schedule: how the weight changes over the training.
        share: the weight is found such that the term's gradient is this share of the supervised loss's, by
            :class:`kdseg.handlers.TermWeights`; None: ``weight`` it is.
        optional: the method makes sense without it: it is left out, and told, where a network lacks its taps.
    """

    loss: str
    taps: tuple[str, ...] = ("logits",)
    weight: float = 1.0
    teacher_taps: tuple[str, ...] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    schedule: Schedule = CONSTANT
    share: float | None = None
    optional: bool = False


_LEVEL = re.compile(r"(\D+)(\d+)(:pre)?")

PATTERNS = ("{level}", "{deeper}", "{deepest}", "{finest}")


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
    """The taps of a term for two networks: ``{level}`` and its like written out, levels that one lacks replaced.

    Args:
        term: the term.
        student: the taps that the student has.
        teacher: the taps that the teacher has.

    Raises:
        UserError: when no level has all taps in both networks, or when the lists differ in length.

    Example:
        >>> expand_taps(Term("feature_similarity", ("enc{level}",)), ["enc1", "enc2"], ["enc2", "enc3"])
        (['enc2'], ['enc2'])
        >>> expand_taps(Term("fitnet", ("enc2", "dec2")), ["enc3", "dec3"], ["enc2", "enc3", "dec2", "dec3"])
        (['enc3', 'dec3'], ['enc3', 'dec3'])
        >>> expand_taps(Term("affinity", ("enc{deepest}", "logits")), ["enc1", "enc2"], ["enc1", "enc2", "enc3"])
        (['enc2', 'logits'], ['enc2', 'logits'])
    """
    patterns_s, patterns_t = term.taps, term.teacher_taps or term.taps
    if len(patterns_s) != len(patterns_t):
        found = f"{len(patterns_s)} for the student, {len(patterns_t)} for the teacher"
        raise UserError("taps of a term", found=found, expected="as many for both", fix="name them in pairs")
    has_s, has_t = set(student), set(teacher)
    if term.teacher_taps is None:
        patterns_s = patterns_t = _nearest(patterns_s, has_s, has_t)
    patterns_s, patterns_t = _finest(patterns_s, has_s), _finest(patterns_t, has_t)
    patterns = (*patterns_s, *patterns_t)
    if not any(_is_pattern(pattern) for pattern in patterns):
        return list(patterns_s), list(patterns_t)
    levels = [
        number
        for number in _numbers(has_s | has_t)
        if all(_at(p, number) in has_s for p in patterns_s if _is_pattern(p))
        and all(_at(p, number) in has_t for p in patterns_t if _is_pattern(p))
    ]
    if not levels:
        raise _no_level(patterns_s, has_s, has_t)
    if any("{deeper}" in pattern for pattern in patterns):
        levels = [number for number in levels if number > 1] or levels
    elif not any("{level}" in pattern for pattern in patterns):
        levels = levels[-1:]
    return [_at(p, n) for n in levels for p in patterns_s], [_at(p, n) for n in levels for p in patterns_t]


def _finest(patterns: tuple[str, ...], has: set[str]) -> tuple[str, ...]:
    """``{finest}`` written out: the first level at which the network has all taps that ask for it."""
    finest = [pattern for pattern in patterns if "{finest}" in pattern]
    if not finest:
        return patterns
    level = next((n for n in _numbers(has) if all(_at(p, n) in has for p in finest)), None)
    if level is None:
        raise _no_level(patterns, has, has)
    return tuple(_at(p, level) if p in finest else p for p in patterns)


def _nearest(taps: tuple[str, ...], student: set[str], teacher: set[str]) -> tuple[str, ...]:
    """A student may begin at a quarter of the size: what is asked for at half of it is then taken there, of both."""
    moved = {tap: tap for tap in taps}
    levels = {tap: int(match[2]) for tap in taps if (match := _LEVEL.fullmatch(tap))}
    for level in set(levels.values()):
        together = {tap for tap, its in levels.items() if its == level}
        if together <= student & teacher or not together <= student | teacher:
            continue
        at = {n: {tap: _LEVEL.sub(rf"\g<1>{n}\3", tap) for tap in together} for n in _numbers(student | teacher)}
        common = [number for number, its in at.items() if set(its.values()) <= student & teacher]
        if common:
            moved |= at[min(common, key=lambda number: (abs(number - level), number))]
    return tuple(moved[tap] for tap in taps)


def _numbers(taps: set[str]) -> list[int]:
    return sorted({int(digits) for tap in taps for digits in re.findall(r"\d+$", tap)})


def _no_level(patterns: tuple[str, ...], student: set[str], teacher: set[str]) -> UserError:
    return UserError(
        f"taps {', '.join(patterns)}",
        found=f"no level that both networks have (student: {', '.join(sorted(student)) or 'none'}; "
        f"teacher: {', '.join(sorted(teacher)) or 'none'})",
        expected="at least one common level",
        fix="name the networks' modules in student_taps and teacher_taps",
    )


def _is_pattern(tap: str) -> bool:
    return any(pattern in tap for pattern in PATTERNS)


def _at(tap: str, level: int) -> str:
    for pattern in PATTERNS:
        tap = tap.replace(pattern, str(level))
    return tap
