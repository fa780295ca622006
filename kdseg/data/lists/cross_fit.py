"""Data lists of a cross-fit: the training cases in parts, each held out once, whole patients together."""

from __future__ import annotations

import os
from pathlib import Path

from kdseg.data.lists.datalist import load_datalist, read_datalist, save_datalist, split_by_patient
from kdseg.errors import UserError

__all__ = ["cross_fit_lists"]


def cross_fit_lists(datalist: str | Path, folder: Path, parts: int, fold: int | None = None) -> list[Path]:
    """Write ``part_<number>.json`` for each part: it is the validation section, the other parts are the training.

    Validation and test cases of the list stay out of all of them: they are for the student.

    Args:
        datalist: as ``kdseg prepare`` writes it.
        folder: where the lists go; one that is there already with the same content is left alone.
        parts: into how many the training cases are divided.
        fold: see :func:`kdseg.data.load_datalist`.

    Raises:
        UserError: for fewer than 2 parts, or fewer patients than parts.
    """
    datalist = Path(datalist)
    # only the patient decides the part, not the section that a published division has given
    records = [{**record, "section": None} for record in load_datalist(datalist, "training", fold)]
    named = [{**record, "patient": str(record.get("patient", record["image"]))} for record in records]
    patients = len({record["patient"] for record in named})
    if not 2 <= parts <= patients:
        fix = "for instance --cross-fit 4"
        raise UserError("--cross-fit", found=str(parts), expected=f"2 to {patients}, the patients", fix=fix)
    divided = split_by_patient(named, fractions=(1, 0, 0), folds=parts)["training"]
    part_of = {record["image"]: record["fold"] for record in divided}
    content = read_datalist(datalist)
    plain = {key: value for key, value in content.items() if not isinstance(value, list)}
    written = []
    for part in range(parts):
        path = folder.absolute() / f"part_{part}.json"
        # relative, so that the folder says nothing about this machine
        kept = [
            {
                key: Path(os.path.relpath(value, path.parent)).as_posix() if key in ("image", "label") else value
                for key, value in record.items()
                if key not in ("fold", "section")
            }
            for record in records
        ]
        held_out = [part_of[record["image"]] == part for record in records]
        made = {
            **plain,
            "root": ".",
            "training": [record for record, out in zip(kept, held_out, strict=True) if not out],
            "validation": [record for record, out in zip(kept, held_out, strict=True) if out],
        }
        if not path.is_file() or read_datalist(path) != made:
            save_datalist(made, path)
        written.append(path)
    return written
