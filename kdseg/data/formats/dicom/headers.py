"""Headers of DICOM files, what they say of one frame, and whether the file can hold what they claim."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdseg.data.open import decoding
from kdseg.errors import UserError

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["GROUPS", "check_claims", "frame_elements", "no_dicom", "numbers", "open_header", "pixel_spacing"]

GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
SPACINGS = ("PixelSpacing", "ObjectPixelSpacingInCenterOfBeam", "ImagerPixelSpacing")
MAGNIFICATION = "EstimatedRadiographicMagnificationFactor"
# bytes: no codec writes a frame into less
LEAST_FRAME = 16


def open_header(path: Path, keywords: Iterable[str]) -> Dataset:
    """The named elements of a DICOM file, not its pixels.

    Raises:
        UserError: when the file is empty or no DICOM file, or is damaged in one of these elements.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError

    with decoding(path.name, "a header that cannot be read", "a DICOM file as PACS export it"):
        try:
            dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(keywords))
        except InvalidDicomError:
            raise no_dicom(path) from None
        # pydicom decodes an element when it is first asked for
        list(dataset)
        return dataset


def no_dicom(path: Path) -> UserError:
    """What to say of a file that has a DICOM suffix alone."""
    found = "no DICOM header (the mark 'DICM' after 128 bytes is missing)"
    expected = "a DICOM file as PACS and workstations export it"
    return UserError(path.name, found=found, expected=expected, fix="export the file again, or rewrite it with dcmconv")


def check_claims(dataset: Dataset, path: Path) -> None:
    """Refuse a file that is too small for the frames that its header claims, before memory is taken for them.

    Args:
        dataset: its header; without "BitsAllocated" only the number of frames is looked at.
        path: the file.

    Raises:
        UserError: with the numbers.
    """
    frames = int(dataset.get("NumberOfFrames") or 1)
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    pixels = int(dataset.get("Rows") or 0) * int(dataset.get("Columns") or 0) * int(dataset.get("SamplesPerPixel") or 1)
    stored = pixels * int(dataset.get("BitsAllocated") or 0) // 8
    # colour may be stored at half the width (YBR_FULL_422)
    least = LEAST_FRAME if syntax is None or syntax.is_compressed else max(LEAST_FRAME, stored // 2)
    if not 0 < frames * least <= path.stat().st_size:
        found = f"a header that claims {frames} frame(s) of {pixels} values, in {path.stat().st_size} bytes"
        fix = "copy or export the file again; it may be truncated or damaged"
        raise UserError(path.name, found=found, expected="a file that holds what its header says", fix=fix)


def frame_elements(dataset: Dataset, index: int, keywords: Iterable[str]) -> dict[str, Any]:
    """What a file says of frame ``index``, by keyword: its own functional groups first, then shared ones, then the top.

    Elements without a value, as some writers leave them, are passed over; so are private groups: vendors keep the
    header of the classic file there, and its values differ.
    """
    wanted = set(keywords)
    elements = {keyword: dataset.get(keyword) for keyword in wanted}
    shared, each = (dataset.get(keyword) or [] for keyword in GROUPS)
    for group in (*shared[:1], *each[index : index + 1]):
        for macro in group:
            if macro.VR == "SQ" and not macro.tag.is_private and macro.value:
                elements |= {
                    element.keyword: element.value
                    for element in macro.value[0]
                    if element.keyword in wanted and not element.is_empty
                }
    return {keyword: value for keyword, value in elements.items() if value not in (None, "")}


def numbers(value: Any, count: int) -> np.ndarray | None:
    """``count`` finite numbers of a header's value, or None."""
    try:
        array = np.array(value if value is not None else [], dtype=np.float64).reshape(-1)
    except (TypeError, ValueError):
        return None
    return array if array.size == count and bool(np.isfinite(array).all()) else None


def pixel_spacing(dataset: Dataset) -> tuple[float, float] | None:
    """The spacing of a file's first frame (along a row, along a column) in mm, or None.

    PixelSpacing comes first: in a projection image it is only there when somebody calibrated it in the plane of the
    patient. ImagerPixelSpacing is measured on the detector, so it is divided by the estimated radiographic
    magnification factor where that is given, and taken as it is otherwise (then lengths are too long, for a heart by
    about a third).
    """
    elements = frame_elements(dataset, 0, [*SPACINGS, MAGNIFICATION])
    for keyword in SPACINGS:
        values = numbers(elements.get(keyword), 2)
        if values is None or values.min() <= 0:
            continue
        factor = numbers(elements.get(MAGNIFICATION), 1)
        magnification = float(factor[0]) if keyword == "ImagerPixelSpacing" and factor is not None else 0.0
        # DICOM gives the distance between rows first, which is the spacing along a column
        return float(values[1]) / (magnification or 1.0), float(values[0]) / (magnification or 1.0)
    return None
