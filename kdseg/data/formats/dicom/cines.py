"""Frames of a DICOM file as pictures for display, with the spacing in millimetres."""

from __future__ import annotations

from pathlib import Path

from kdseg.data.formats.dicom.headers import check_claims, pixel_spacing
from kdseg.data.formats.dicom.pixels import frame_values, value_limits
from kdseg.data.formats.dicom.slice_headers import GREY
from kdseg.data.formats.frame_source import FrameSource, affine_of
from kdseg.data.formats.slides import SLIDE_STORAGE, open_slide
from kdseg.errors import UserError

__all__ = ["open_dicom"]


def open_dicom(path: Path) -> FrameSource:
    """Open a single- or multi-frame DICOM file of any transfer syntax that pydicom's decoders know.

    Slide microscopy is one frame, put together from its tiles (:func:`kdseg.data.formats.slides.open_slide`). Grey
    values are those for display (:func:`kdseg.data.formats.dicom.pixels.frame_values`), so that contrast-filled vessels
    are dark in every file; YBR becomes RGB.

    Raises:
        UserError: when the file holds no image, or one in a colour model that is not grey, RGB or YBR; when it is too
            small for what its header claims.
    """
    import pydicom

    dataset = pydicom.dcmread(path)
    colour = str(dataset.get("PhotometricInterpretation", "missing"))
    if not dataset.get("PixelData") or "Rows" not in dataset:
        found = f"a DICOM file without an image (modality {dataset.get('Modality', 'not given')})"
        fix = "leave this file out, or export the image that it belongs to"
        raise UserError(path.name, found=found, expected="pixel data", fix=fix)
    if colour not in GREY and not colour.startswith(("RGB", "YBR")):
        found, expected = f"the colour model {colour}", "MONOCHROME1, MONOCHROME2, RGB or YBR"
        raise UserError(path.name, found=found, expected=expected, fix="export the image in grey")
    check_claims(dataset, path)
    if dataset.get("SOPClassUID") == SLIDE_STORAGE:
        return open_slide(dataset, path)
    return FrameSource(
        lambda index: frame_values(dataset, index, display=True).swapaxes(0, 1),
        int(dataset.get("NumberOfFrames") or 1),
        *value_limits(dataset),
        "dicom",
        affine_of(pixel_spacing(dataset)),
    )
