"""What a check has found."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ERROR", "WARNING", "Finding"]

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True)
class Finding:
    """Something to look at.

    Attributes:
        grade: "error": training or measuring on it would be wrong; "warning": unusual, and perhaps right.
        kind: a few words that are the same for all findings of a kind.
        cases: names of the cases that it is about.
        text: what was found, with its figures.
    """

    grade: str
    kind: str
    cases: tuple[str, ...]
    text: str
