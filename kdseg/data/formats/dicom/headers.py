"""Headers of DICOM files, and what they say of one frame."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdseg.errors import UserError

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["GROUPS", "frame_elements", "numbers", "open_header"]

GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


def open_header(path: Path, keywords: Iterable[str]) -> Dataset:
    """The named elements of a DICOM file, not its pixels.

    Raises:
        UserError: when the file is empty or no DICOM file, or is damaged before the pixels.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        with warnings.catch_warnings():
            # pydicom's warnings quote header values, and those may name a patient
            warnings.simplefilter("ignore")
            return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(keywords))
    except InvalidDicomError:
        found = "no DICOM header (the mark 'DICM' after 128 bytes is missing)"
    except Exception as error:
        found = f"a header that cannot be read ({type(error).__name__})"
    raise UserError(
        path.name, found=found, expected="a DICOM file as PACS export it", fix="export or copy the file again"
    )


def frame_elements(dataset: Dataset, index: int) -> dict[str, Any]:
    """What a file says of frame ``index``, by keyword: its own functional groups first, then shared ones, then the top.

    Private groups are passed over: vendors keep the header of the classic file there, and its values differ.
    """
    elements = {element.keyword: element.value for element in dataset if element.keyword and element.VR != "SQ"}
    shared, each = (dataset.get(keyword) or [] for keyword in GROUPS)
    for group in (*shared[:1], *each[index : index + 1]):
        for macro in group:
            if macro.VR == "SQ" and not macro.tag.is_private and macro.value:
                elements |= {element.keyword: element.value for element in macro.value[0] if element.keyword}
    return elements


def numbers(value: Any, count: int) -> np.ndarray | None:
    """``count`` finite numbers of a header's value, or None."""
    try:
        array = np.array(value if value is not None else [], dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        return None
    return array if array.size == count and bool(np.isfinite(array).all()) else None
