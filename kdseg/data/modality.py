"""Whether DICOM files are of the modality that a task wants."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kdseg.data.open import file_kind
from kdseg.errors import UserError

__all__ = ["WrongModalityError", "check_modality"]


class WrongModalityError(UserError):
    """The image is of another modality than those that a network was trained for."""


def check_modality(path: Path, wanted: Sequence[str], task: str) -> None:
    """Refuse a DICOM file, or a folder of such files, of other modalities than the task's.

    Raises:
        WrongModalityError: where headers name others only.
    """
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    other = ""
    for file in files if wanted else []:
        if file.is_file() and file_kind(file) == "dicom":
            modality = _modality(file)
            if not modality or modality in wanted:
                return
            other = other or modality
    if other:
        expected = f"{' or '.join(wanted)} for {task}"
        fix = "give the student of that kind of image, or another file; --force takes it all the same"
        raise WrongModalityError(path.name, found=f"modality {other}", expected=expected, fix=fix)


def _modality(path: Path) -> str:
    import pydicom

    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Modality"])
        return str(header.get("Modality", "") or "")
    except Exception:
        # the reader tells what is wrong with the file
        return ""
