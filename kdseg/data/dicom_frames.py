"""Frames of a DICOM file: decoded, through modality and VOI look-up tables, with the spacing in millimetres."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kdseg.data.dicom.decoders import decoder_of
from kdseg.data.frame_source import FrameSource
from kdseg.data.slide_frames import SLIDE_STORAGE, open_slide
from kdseg.errors import UserError

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["open_dicom", "pixel_spacing"]

GREY = ("MONOCHROME1", "MONOCHROME2")
DISPLAY_AND_SPACING = (
    "RescaleSlope",
    "RescaleIntercept",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "PixelSpacing",
    "ObjectPixelSpacingInCenterOfBeam",
    "ImagerPixelSpacing",
    "EstimatedRadiographicMagnificationFactor",
)


def open_dicom(path: Path) -> FrameSource:
    """Open a single- or multi-frame DICOM file of any transfer syntax that pydicom's decoders know.

    Slide microscopy is one frame, put together from its tiles (:func:`kdseg.data.slide_frames.open_slide`).

    Values go through the modality LUT (or rescale) and the first VOI LUT (or window); MONOCHROME1 is inverted, so that
    contrast-filled vessels are dark in every file; YBR becomes RGB. ``low`` and ``high`` are the ends of the stored
    depth or of the LUT's output. Where an enhanced file has a window per frame, that of the first frame serves all.

    Raises:
        UserError: when the file holds no image, or one in a colour model that is not grey, RGB or YBR.
    """
    import pydicom
    from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array

    dataset = pydicom.dcmread(path)
    _flatten_functional_groups(dataset)
    colour = str(dataset.get("PhotometricInterpretation", "missing"))
    if not dataset.get("PixelData") or "Rows" not in dataset:
        raise UserError(
            path.name,
            found=f"a DICOM file without an image (modality {dataset.get('Modality', 'not given')})",
            expected="pixel data",
            fix="leave this file out, or export the image that it belongs to",
        )
    if colour not in GREY and not colour.startswith(("RGB", "YBR")):
        raise UserError(
            path.name,
            found=f"the colour model {colour}",
            expected="MONOCHROME1, MONOCHROME2, RGB or YBR",
            fix="export the image in grey",
        )

    if dataset.get("SOPClassUID") == SLIDE_STORAGE:
        return open_slide(dataset, path)

    def read(index: int) -> np.ndarray:
        values = pixel_array(dataset, index=index, decoding_plugin=decoder_of(dataset))
        if colour in GREY:
            values = apply_voi_lut(apply_modality_lut(values, dataset), dataset)
        if colour == "MONOCHROME1":
            # float first: low + high does not fit into the stored type
            values = low + high - values.astype(np.float64)
        return values.swapaxes(0, 1)

    low, high = _limits(dataset)
    spacing = pixel_spacing(dataset)
    return FrameSource(
        read=read,
        count=int(dataset.get("NumberOfFrames") or 1),
        low=low,
        high=high,
        file_format="dicom",
        affine=np.diag([*(spacing or (1.0, 1.0)), 1.0, 1.0]),
        spacing_known=spacing is not None,
    )


def pixel_spacing(dataset: Dataset) -> tuple[float, float] | None:
    """The spacing (along a row, along a column) in mm, or None.

    PixelSpacing comes first: in a projection image it is only there when somebody calibrated it in the plane of the
    patient. ImagerPixelSpacing is measured on the detector, so it is divided by the estimated radiographic
    magnification factor where that is given, and taken as it is otherwise (then lengths are too long, for a heart by
    about a third).
    """
    for keyword in ("PixelSpacing", "ObjectPixelSpacingInCenterOfBeam", "ImagerPixelSpacing"):
        values = [float(value) for value in np.ravel(dataset.get(keyword) or [])]
        if len(values) != 2 or min(values) <= 0:
            continue
        magnification = 1.0
        if keyword == "ImagerPixelSpacing":
            magnification = float(dataset.get("EstimatedRadiographicMagnificationFactor") or 0) or 1.0
        # DICOM gives the distance between rows first, which is the spacing along a column
        return values[1] / magnification, values[0] / magnification
    return None


def _limits(dataset: Dataset) -> tuple[float, float]:
    """The values of black and white after the look-up tables, as pydicom's windowing defines them."""
    bits = int(dataset.BitsStored)
    for sequence in ("VOILUTSequence", "ModalityLUTSequence"):
        if dataset.get(sequence):
            return 0.0, 2.0 ** int(dataset[sequence][0].LUTDescriptor[2]) - 1
    low = -(2.0 ** (bits - 1)) if dataset.get("PixelRepresentation") else 0.0
    slope, intercept = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    return low * slope + intercept, (low + 2.0**bits - 1) * slope + intercept


def _flatten_functional_groups(dataset: Dataset) -> None:
    """Bring what an enhanced file says of its first frame to the top level, and drop what is there but empty."""
    for keyword in DISPLAY_AND_SPACING:
        if keyword in dataset and dataset[keyword].is_empty:
            del dataset[keyword]
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for macro in dataset[groups][0] if dataset.get(groups) else ():
            for keyword in DISPLAY_AND_SPACING if macro.VR == "SQ" and macro.value else ():
                if keyword in macro.value[0] and keyword not in dataset:
                    dataset[keyword] = macro.value[0][keyword]
