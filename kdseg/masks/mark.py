"""The mark in each file that kdseg writes: by it a mask is never taken for an image, and known as some student's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kdseg._version import __version__
from kdseg.data.open import NIFTI_SUFFIXES, file_kind
from kdseg.masks.mask import Mask

__all__ = ["MARK", "is_marked", "read_mark", "words_of"]

MARK = "kdseg"
"""The key of a PNG's text, of the JSON in a NIfTI header, and the manufacturer of a DICOM file's equipment."""


def words_of(mask: Mask, with_labels: bool = True) -> str:
    """The mark as JSON: version, student, and names of the classes."""
    words: dict[str, Any] = {"version": __version__}
    if mask.maker.student:
        words["student"] = mask.maker.student
    return json.dumps(words | ({"labels": dict(mask.labels)} if with_labels else {}), ensure_ascii=True)


def read_mark(path: str | Path) -> dict[str, Any] | None:
    """What the mark in a PNG, NIfTI or DICOM file says; None where the file is none of kdseg's.

    Example:
        >>> read_mark("no_such_file.png") is None
        True
    """
    path = Path(path)
    try:
        kind = file_kind(path)
        text = _text(path, kind) if kind else None
        content = json.loads(text) if text is not None else None
    except Exception:
        # whatever is wrong with it: it is none of ours
        return None
    return content if isinstance(content, dict) else None


def is_marked(path: str | Path) -> bool:
    """Whether kdseg wrote the file."""
    return read_mark(path) is not None


def _text(path: Path, kind: str) -> str | None:
    if path.suffix.lower() == ".png":
        from PIL import Image

        with Image.open(path) as picture:
            return picture.info.get(MARK)
    if path.name.lower().endswith(NIFTI_SUFFIXES):
        import nibabel

        for part in nibabel.load(path).header.extensions:  # type: ignore[attr-defined]
            content = part.get_content()
            text = content.decode() if isinstance(content, bytes) else str(content)
            if MARK in text:
                return json.loads(text)[MARK]
        return None
    if kind == "dicom":
        import pydicom

        tags = ["ContributingEquipmentSequence"]
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
        for item in header.get("ContributingEquipmentSequence") or []:
            if item.get("Manufacturer") == MARK:
                return str(item.ContributionDescription)
    return None
