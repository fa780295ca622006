"""Which patient a picture belongs to, without ever writing down who that is."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

from kdseg.data.formats.dicom.pseudonym import pseudonym
from kdseg.data.lists.datalist import Record
from kdseg.data.lists.folder_names import folder_parts
from kdseg.data.open import has_dicom_mark

__all__ = ["assign_patients"]

# two or fewer folder names are rather sites or devices than patients
FEWEST_PATIENT_FOLDERS = 3


def assign_patients(records: list[Record], source: Path) -> str:
    """Set "patient" of every record that has none yet, and say in a sentence how patients were told apart.

    In this order: the hashed PatientID of a DICOM file; the first folder that differs between the cases and is not part
    of the layout, where there are at least three such folders; the case itself.
    """
    told_before = len(records)
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
    told = [("the patient id of DICOM files, hashed", len(ids)), ("folders", len(folders.keys() - ids.keys()))]
    ways = [f"{way} ({count} cases)" for way, count in [*told, ("the layout", told_before)] if count]
    alone = len(records) - len(ids.keys() | folders.keys())
    if alone:
        ways.append(f"the file itself ({alone} cases: nothing says who belongs together)")
    return "patients are told by " + " and by ".join(ways)


def _dicom_patient(path: Path) -> str | None:
    import pydicom

    if not path.is_file() or not has_dicom_mark(path):
        return None
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"])
        patient_id = str(dataset.get("PatientID") or "").strip()
    except Exception:
        # a damaged header is reported by the check of the case, which opens the whole file
        return None
    return pseudonym(patient_id) if patient_id else None


def _patient_folders(records: list[Record], source: Path) -> dict[str, str]:
    parts = {record["case"]: folder_parts(Path(record["image"]), source) for record in records}
    levels = zip(*(part for part in parts.values() if part), strict=False)
    common = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
    folders = {case: part[common] for case, part in parts.items() if len(part) > common}
    return folders if len(set(folders.values())) >= FEWEST_PATIENT_FOLDERS else {}
