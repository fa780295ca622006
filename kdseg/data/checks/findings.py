"""What a check has found, and which of it counts as an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kdseg.errors import UserError, suggestion

__all__ = ["ERROR", "KINDS", "UNUSABLE", "WARNING", "Finding", "kinds_named", "regraded"]

ERROR, WARNING = "error", "warning"
LARGE = "label that covers most of the image"
# part of the cases
USUAL = 0.2
# no training could read the files
UNUSABLE = ("image unusable", "label unusable", "label of another size")
KINDS = (
    *UNUSABLE,
    "image of a single value",
    "image that looks like a mask",
    "affine of the image is the identity",
    "affine of the label differs",
    "label outside the image",
    "label on another grid",
    "label stored in another orientation",
    "label values without a name",
    "label of three values",
    "label that is ignored everywhere",
    "empty label",
    LARGE,
    "left and right exchanged",
)
"""What can be wrong with a case by itself."""


@dataclass(frozen=True)
class Finding:
    """Something to look at."""

    grade: str  # "error": training or measuring on it would be wrong; "warning": unusual, and perhaps right
    kind: str  # a few words that are the same for all findings of a kind
    cases: tuple[str, ...]  # names of the cases that it is about
    text: str  # what was found, with its figures


def kinds_named(names: Sequence[str]) -> list[str]:
    """The kinds of finding that a user names; hyphens may stand for blanks.

    Raises:
        UserError: for a kind that is not there, or that makes a case unreadable.

    Example:
        >>> kinds_named(["empty-label"])
        ['empty label']
    """
    kinds = [name.strip().lower().replace("-", " ").replace("_", " ") for name in names]
    known = [kind for kind in KINDS if kind not in UNUSABLE]
    for kind in kinds:
        if kind not in known:
            raise UserError("accept", found=repr(kind), expected=", ".join(known), fix=suggestion(kind, known))
    return kinds


def regraded(
    findings: Sequence[Finding], cases: int, accept: Sequence[str] = (), refuse: Sequence[str] = ()
) -> list[Finding]:
    """Findings whose kind is accepted as warnings, those whose kind is refused as errors; errors first.

    Where large structures are usual, among ``cases`` cases, no word is lost on them.
    """
    grades = dict.fromkeys(refuse, ERROR) | dict.fromkeys(accept, WARNING)
    graded = [replace(finding, grade=grades.get(finding.kind, finding.grade)) for finding in findings]
    large = [finding for finding in graded if finding.kind == LARGE and finding.grade == WARNING]
    if len(large) > USUAL * cases:
        graded = [finding for finding in graded if finding not in large]
    return sorted(graded, key=lambda finding: (finding.grade != ERROR, finding.kind))
