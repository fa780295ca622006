"""A teacher must not have seen the cases that the student is validated or tested on."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kdseg.data.open import content_hash
from kdseg.distill.teachers.cross_fit import cross_fit_members
from kdseg.errors import UserError
from kdseg.task import HISTORY_FILE, read_history

__all__ = ["check_unseen", "held_out_cases", "image_hashes"]

logger = logging.getLogger(__name__)


def image_hashes(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """The SHA-256 of each record's image file: the record's "sha256", or computed where the list has none.

    The content tells images apart: case names such as "7" repeat from one data set to the next. The hash of a DICOM
    series (a folder) is that of its files' hashes in the order of their names.
    """
    return [str(record.get("sha256") or _hash(Path(record["image"]))) for record in records]


def _hash(path: Path) -> str:
    if path.is_dir():
        parts = [content_hash(file) for file in sorted(path.rglob("*")) if file.is_file()]
        return hashlib.sha256("".join(parts).encode()).hexdigest()
    return content_hash(path)


def held_out_cases(datalist: str | Path, fold: int | None = None) -> list[dict[str, Any]]:
    """The validation and test records of a data list (test only where it has some).

    Args:
        datalist: the list.
        fold: the fold that is validated on, see :func:`kdseg.data.load_datalist`.

    Raises:
        UserError: when the list cannot be read or has no validation section.
    """
    from kdseg.data.lists.datalist import load_datalist

    content = json.loads(Path(datalist).read_text(encoding="utf-8")) if Path(datalist).is_file() else {}
    records = load_datalist(datalist, "validation", fold)
    return records + (load_datalist(datalist, "test", fold) if content.get("test") else [])


def check_unseen(weights: Sequence[str | Path], held_out: Sequence[Mapping[str, Any]]) -> None:
    """Refuse teachers that were trained on one of the held-out cases.

    Args:
        weights: the teachers' files or folders; ``history.json`` is looked for beside each. Teachers without one are
            named in one warning: for them it cannot be checked.
        held_out: records of the validation and test cases.

    Raises:
        UserError: when a teacher has seen one of them, or its ``history.json`` cannot be read.
    """
    if not held_out:
        return
    hashes = dict(zip(image_hashes(held_out), held_out, strict=True))
    unknown: list[str] = []
    guilty: dict[str, list[str]] = {}
    for path in (one for given in weights for one in ([m for m, _ in cross_fit_members(given)] or [Path(given)])):
        seen = read_history(path if path.is_dir() else path.parent).get("images_sha256")
        if seen is None:
            unknown.append(str(path))
            continue
        cases = sorted(str(hashes[key].get("case", "?")) for key in set(seen) & set(hashes))
        if cases:
            guilty[str(path)] = cases
    if guilty:
        first, cases = next(iter(guilty.items()))
        clean = [str(path) for path in weights if str(path) not in guilty]
        others = f"; of the {len(weights)} given, only {', '.join(clean)} can teach here" if clean else ""
        raise UserError(
            f"teacher {first}",
            found=f"that it was trained on {len(cases)} of the {len(held_out)} validation and test cases of this list "
            f"({', '.join(cases[:5])}{', …' if len(cases) > 5 else ''})",
            expected="a teacher that has seen none of them: otherwise the student's score is not that of new cases",
            fix=f"use the teacher of the same data list and fold{others}",
        )
    if unknown:
        logger.warning(
            f"no {HISTORY_FILE} beside {', '.join(unknown)}: it cannot be checked that the teacher has not seen the "
            "validation and test cases"
        )
