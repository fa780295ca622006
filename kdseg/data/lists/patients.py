"""Which patient a picture belongs to, without ever writing down who that is."""

from __future__ import annotations

import os
import re
from itertools import takewhile
from pathlib import Path

from kdseg.data.formats.dicom.headers import open_header
from kdseg.data.formats.dicom.pseudonym import pseudonym
from kdseg.data.lists.datalist import Record
from kdseg.data.lists.folder_names import folder_parts
from kdseg.data.open import has_dicom_mark
from kdseg.errors import UserError

__all__ = ["assign_patients"]

# two or fewer folder names are rather sites or devices than patients
FEWEST_PATIENT_FOLDERS = 3


def assign_patients(records: list[Record], source: Path, pattern: str | None = None) -> str:
    """Set "patient" of every record that has none yet, and say in a sentence how patients were told apart.

    In this order: what ``pattern`` finds in the path; what the layout said; the hashed PatientID of a DICOM file; the
    first folder that differs between the cases and is not part of the layout, where there are at least three such
    folders; the case itself.

    Args:
        records: with "image" and "case"; changed.
        source: the folder that they are in.
        pattern: a regular expression; its first group is the patient, or all of it where it has none.

    Raises:
        UserError: when the pattern is none, or is found in no path.
    """
    by_pattern = _by_pattern(records, source, pattern) if pattern else 0
    told_before = len(records) - by_pattern
    records = [record for record in records if "patient" not in record]
    told_before -= len(records)
    ids = {record["case"]: _dicom_patient(Path(record["image"])) for record in records}
    ids = {case: patient for case, patient in ids.items() if patient}
    if len(ids) > 1 and len(set(ids.values())) == 1:
        # what de-identification programs leave: one id for everybody
        ids = {}
    folders = _patient_folders(records, source)
    for record in records:
        case = record["case"]
        record["patient"] = ids.get(case) or folders.get(case) or case
    alone = len(records) - len(ids.keys() | folders.keys())
    told = {
        "the pattern ({} cases)": by_pattern,
        "the patient id of DICOM files, hashed ({} cases)": len(ids),
        "folders ({} cases)": len(folders.keys() - ids.keys()),
        "the layout ({} cases)": told_before,
        "the file itself ({} cases: nothing says who belongs together)": alone,
    }
    return "patients are told by " + " and by ".join(way.format(count) for way, count in told.items() if count)


def _by_pattern(records: list[Record], source: Path, pattern: str) -> int:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        fix = "write for example 'Image_([0-9]+)'"
        found = f"{pattern!r} ({error})"
        raise UserError("patient pattern", found=found, expected="a regular expression", fix=fix) from error
    paths = [os.path.relpath(record["image"], source).replace(os.sep, "/") for record in records]
    matches = [expression.search(path) for path in paths]
    for record, match in zip(records, matches, strict=True):
        if match:
            record["patient"] = match[1] if expression.groups else match[0]
    if not any(matches):
        found, fix = f"no match in {paths[0]}", "the pattern is looked for in such paths"
        raise UserError("patient pattern", found=found, expected=f"what {pattern!r} says", fix=fix)
    return sum(map(bool, matches))


def _dicom_patient(path: Path) -> str | None:
    if not path.is_file() or not has_dicom_mark(path):
        return None
    try:
        patient_id = str(open_header(path, ["PatientID"]).get("PatientID") or "").strip()
    except UserError:
        # a damaged header is reported by the check of the case, which opens the whole file
        return None
    return pseudonym(patient_id) if patient_id else None


def _patient_folders(records: list[Record], source: Path) -> dict[str, str]:
    parts = {record["case"]: folder_parts(Path(record["image"]), source) for record in records}
    levels = zip(*(part for part in parts.values() if part), strict=False)
    common = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
    folders = {case: part[common] for case, part in parts.items() if len(part) > common}
    return folders if len(set(folders.values())) >= FEWEST_PATIENT_FOLDERS else {}
