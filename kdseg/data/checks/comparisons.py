"""What only shows when the cases of a set are compared: copies, patients in two parts, and cases unlike the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kdseg.data.checks.content import NEAR_COPY, similarity
from kdseg.data.checks.findings import ERROR, WARNING, Finding
from kdseg.data.checks.measures import CaseMeasures, figure

__all__ = ["near_copies", "set_findings"]

# fewer cases have no usual values
FEWEST = 8
# deviations, in robust standard deviations (1.4826 times the median absolute deviation), that are unlikely
DEVIATIONS = 5.0
# a size or spacing less than this many times the usual one is never remarkable
RATIO = 1.5
# of the usual range of intensities within an image: a difference below it is never remarkable
INTENSITY = 0.1
AT_BORDER = "structure at the border of the image"
# a class that this part of the cases has is expected in the others
EXPECTED = 0.8


def set_findings(cases: Sequence[CaseMeasures]) -> list[Finding]:
    """Findings about the set as a whole."""
    return [
        *_copies(cases),
        *_near_copies(cases),
        *_patients(cases),
        *_orientations(cases),
        *_borders(cases),
        *_absent(cases),
        *_outliers(cases),
    ]


def _grouped(cases: Iterable[CaseMeasures], key: Callable[[CaseMeasures], Any]) -> dict[Any, list[CaseMeasures]]:
    groups: dict[Any, list[CaseMeasures]] = {}
    for case in cases:
        groups.setdefault(key(case), []).append(case)
    return groups


def _part(case: CaseMeasures) -> str:
    return case.section if case.fold is None else f"{case.section}, fold {case.fold}"


def _copies(cases: Sequence[CaseMeasures]) -> list[Finding]:
    found = []
    for copies in _grouped(cases, lambda case: case.content).values():
        if len(copies) > 1:
            parts = sorted({_part(case) for case in copies})
            grade = ERROR if len(parts) > 1 else WARNING
            kind = "one image in several parts" if len(parts) > 1 else "one image several times"
            names = tuple(case.case for case in copies)
            found.append(Finding(grade, kind, names, f"the same values in {' and '.join(parts)}"))
    return found


def near_copies(cases: Sequence[CaseMeasures]) -> list[tuple[CaseMeasures, CaseMeasures, float]]:
    """Pictures that show nearly the same, such as frames of one cine, with their similarity; no volumes, no copies."""
    pictures = [case for case in cases if case.thumbnail is not None]
    if len(pictures) < 2:
        return []
    alike = similarity(np.stack([case.thumbnail for case in pictures if case.thumbnail is not None]))
    return [
        (pictures[first], pictures[second], float(alike[first, second]))
        for first, second in np.argwhere(np.triu(alike > NEAR_COPY, 1))
        if pictures[first].content != pictures[second].content
    ]


def _near_copies(cases: Sequence[CaseMeasures]) -> list[Finding]:
    found = []
    for first, second, alike in near_copies(cases):
        if _part(first) != _part(second):
            text = f"alike to {alike:.2f} of 1, in {_part(first)} and {_part(second)}: frames of one view?"
            found.append(Finding(WARNING, "near copies in several parts", (first.case, second.case), text))
    return found


def _patients(cases: Sequence[CaseMeasures]) -> list[Finding]:
    found = []
    for patient, group in _grouped(cases, lambda case: case.patient).items():
        parts = sorted({_part(case) for case in group})
        if patient and len(parts) > 1:
            names = tuple(case.case for case in group)
            found.append(Finding(ERROR, "one patient in several parts", names, f"in {' and '.join(parts)}"))
    return found


def _orientations(cases: Sequence[CaseMeasures]) -> list[Finding]:
    sides = _grouped((case for case in cases if case.orientation), lambda case: "L" if "L" in case.orientation else "R")
    if len(sides) < 2:
        return []
    fewer, more = sorted(sides, key=lambda side: len(sides[side]))
    names = tuple(case.case for case in sides[fewer])
    one, other = ("left", "right") if fewer == "L" else ("right", "left")
    text = (
        f"{len(names)} of {len(names) + len(sides[more])} volumes are stored to the {one}, the others to the {other}: "
        "right where transforms go by the affine (Orientationd), mirrored where they do not"
    )
    return [Finding(WARNING, "left and right stored both ways", names, text)]


def _borders(cases: Sequence[CaseMeasures]) -> list[Finding]:
    """Structures at the border: one finding for a class of which most touch it, else one for a case."""
    found = []
    usual = set()
    for name in _names(cases):
        touching = [bool(case.structures[name].touches) for case in cases if name in case.structures]
        if sum(touching) * 2 > len(touching) >= FEWEST:
            usual.add(name)
            found.append(Finding(WARNING, AT_BORDER, (), f"{name} in {sum(touching)} of {len(touching)} cases"))
    for case in cases:
        touches = [
            f"{name} ({', '.join(structure.touches)})"
            for name, structure in case.structures.items()
            if structure.touches and name not in usual
        ]
        if touches:
            found.append(Finding(WARNING, AT_BORDER, (case.case,), ", ".join(touches)))
    return found


def _absent(cases: Sequence[CaseMeasures]) -> list[Finding]:
    labelled = [case for case in cases if case.structures]
    found = []
    for name in _names(labelled):
        without = tuple(case.case for case in labelled if name not in case.structures)
        if without and len(labelled) >= FEWEST and 1 - len(without) / len(labelled) >= EXPECTED:
            text = f"no {name}, which {len(labelled) - len(without)} of {len(labelled)} cases have"
            found.append(Finding(WARNING, "class that is missing", without, text))
    return found


def _names(cases: Sequence[CaseMeasures]) -> list[str]:
    return list(dict.fromkeys(name for case in cases for name in case.structures))


def _outliers(cases: Sequence[CaseMeasures]) -> list[Finding]:
    values: dict[tuple[str, str, str], dict[str, float]] = {}
    for case in cases:
        for key, value in case.figures().items():
            values.setdefault(key, {})[case.case] = value
    widths = [case.intensity["p99"] - case.intensity["p01"] for case in cases]
    # one finding where a case is unlike the others in several ways of a kind
    texts: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (what, which, unit), of_cases in values.items():
        least = INTENSITY * float(np.median(widths)) if what == "intensity" else None
        for finding in _unlike(what, which, unit, of_cases, least):
            texts.setdefault((finding.kind, finding.cases), []).append(finding.text)
    return [Finding(WARNING, kind, cases, "; ".join(several)) for (kind, cases), several in texts.items()]


def _unlike(what: str, which: str, unit: str, values: Mapping[str, float], least: float | None = None) -> list[Finding]:
    """Cases far from the median: by difference where ``least`` says how large it has to be, else by ratio."""
    if len(values) < FEWEST:
        return []
    numbers = np.array(list(values.values()), dtype=np.float64)
    scaled = np.log(np.maximum(numbers, 1e-9)) if least is None else numbers
    away = np.abs(scaled - np.median(scaled))
    # with a spread of zero, as of sizes that are all the same, any other value would be far
    spread = max(DEVIATIONS * 1.4826 * float(np.median(away)), float(np.log(RATIO)) if least is None else least)
    kind, usual = f"{what} unlike the others'", f"usual {figure(float(np.median(numbers)))}"
    return [
        Finding(WARNING, kind, (case,), f"{which} {figure(value)}{f' {unit}' if unit else ''}, {usual}")
        for case, value, far in zip(values, numbers, away > spread, strict=True)
        if far
    ]
