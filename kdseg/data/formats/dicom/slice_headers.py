"""The headers of DICOM files, one entry a frame: what tells series apart, and where in space each frame lies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdseg.data.formats.dicom.headers import GROUPS, check_claims, frame_elements, numbers, open_header
from kdseg.data.open import decoding
from kdseg.errors import UserError

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["FRAME_KEYWORDS", "GREY", "Frame", "read_frames"]

# what tells apart frames that lie at one position, in the order in which it is asked; the keywords of classic and of
# enhanced files stand for the same thing
DISTINCTIONS = {
    "acquisition": ("AcquisitionNumber", "FrameAcquisitionNumber"),
    "image type": ("FrameType", "ImageType"),
    "echo time": ("EffectiveEchoTime", "EchoTime"),
    "b value": ("DiffusionBValue",),
    "diffusion direction": ("DiffusionGradientOrientation",),
    "temporal position": ("TemporalPositionIndex", "TemporalPositionIdentifier"),
    "stack": ("StackID",),
    "inversion time": ("InversionTime",),
    "flip angle": ("FlipAngle",),
    "energy": ("KVP",),
    "kernel": ("ConvolutionKernel",),
    "trigger time": ("TriggerTime",),
    "acquisition time": ("AcquisitionTime",),
}
GREY = ("MONOCHROME1", "MONOCHROME2")
GEOMETRY = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices")
IDENTITY = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
DESCRIPTION = ("PatientID", "Modality", "SeriesDescription", "ImageType", "Rows", "Columns", "NumberOfFrames")
PIXELS = ("PhotometricInterpretation", "SamplesPerPixel")
FRAME_ELEMENTS = (*GEOMETRY, *(keyword for keywords in DISTINCTIONS.values() for keyword in keywords))
FRAME_KEYWORDS = (*IDENTITY, *DESCRIPTION, *PIXELS, *GROUPS, *FRAME_ELEMENTS)
# how far the lengths of the direction cosines and their scalar product may be off
COSINE_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Frame:
    """One picture of a series, by its header; lengths in mm, positions in DICOM's axes (left, posterior, head)."""

    # path, index: the file, and the frame's number in it, from 0
    path: Path
    index: int
    # uid, study, series, space: SOP instance, study, series and frame of reference; kept out of every message
    uid: str = field(repr=False)
    study: str = field(repr=False)
    series: str = field(repr=False)
    space: str = field(repr=False)
    patient: str = field(repr=False)  # the patient's id, kept out of every message
    # modality, description: of the series
    modality: str
    description: str
    shape: tuple[int, int]  # columns and rows
    position: np.ndarray  # of the first pixel's centre
    # row, column: unit vectors in which the column index and the row index grow
    row: np.ndarray
    column: np.ndarray
    pixel_spacing: tuple[float, float]  # between columns and between rows
    thickness: float | None  # distance to the next slice as the header states it, None where it does not
    distinctions: Mapping[str, str]  # what may tell the frame from others at its position, see DISTINCTIONS
    flaw: str | None  # why the frame cannot be part of a volume, or None

    @property
    def normal(self) -> np.ndarray:
        """Unit vector across the slices."""
        return np.cross(self.row, self.column)

    @property
    def depth(self) -> float:
        """Position along the normal, in mm."""
        return float(self.normal @ self.position)


def read_frames(path: Path, header: Dataset | None = None) -> list[Frame]:
    """The frames of a DICOM image: one of a classic file, all of an enhanced one.

    Args:
        path: the file.
        header: its ``FRAME_KEYWORDS``, where that is read already.

    Raises:
        UserError: when the file is no DICOM file, has no image, or claims more frames than it can hold.
    """
    dataset = open_header(path, FRAME_KEYWORDS) if header is None else header
    with decoding(path.name, "a header that cannot be read", "numbers and sequences as the standard has them"):
        if "Rows" not in dataset:
            found = f"a DICOM file without an image (modality {dataset.get('Modality') or 'not given'})"
            raise UserError(path.name, found=found, expected="a picture", fix="leave this file out")
        count = int(dataset.get("NumberOfFrames") or 1)
        if count > 1:
            check_claims(dataset, path)
        return [_frame(path, dataset, index) for index in range(count)]


def _frame(path: Path, dataset: Dataset, index: int) -> Frame:
    elements = frame_elements(dataset, index, FRAME_ELEMENTS)
    position = numbers(elements.get("ImagePositionPatient"), 3)
    cosines = numbers(elements.get("ImageOrientationPatient"), 6)
    spacing = numbers(elements.get("PixelSpacing"), 2)
    row, column = (np.zeros(3), np.zeros(3)) if cosines is None else (cosines[:3], cosines[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    flaw = _flaw(dataset, position, cosines, spacing)
    if flaw is None and max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(row @ column)) > COSINE_TOLERANCE:
        flaw = "the directions of rows and columns are not unit vectors at a right angle"
    elif flaw is None:
        row, column = row / lengths[0], column / lengths[1]
    return Frame(
        path=path,
        index=index,
        uid=str(dataset.get("SOPInstanceUID") or path),
        study=str(dataset.get("StudyInstanceUID") or ""),
        series=str(dataset.get("SeriesInstanceUID") or ""),
        space=str(dataset.get("FrameOfReferenceUID") or ""),
        patient=str(dataset.get("PatientID") or ""),
        modality=str(dataset.get("Modality") or ""),
        description=str(dataset.get("SeriesDescription") or ""),
        shape=(int(dataset.Columns), int(dataset.Rows)),
        position=np.zeros(3) if position is None else position,
        row=row,
        column=column,
        # DICOM gives the distance between rows first
        pixel_spacing=(1.0, 1.0) if spacing is None else (float(spacing[1]), float(spacing[0])),
        thickness=_thickness(elements),
        distinctions={name: _text(elements, keywords) for name, keywords in DISTINCTIONS.items()},
        flaw=flaw,
    )


def _flaw(
    dataset: Dataset, position: np.ndarray | None, cosines: np.ndarray | None, spacing: np.ndarray | None
) -> str | None:
    colour = str(dataset.get("PhotometricInterpretation") or "missing")
    if colour not in GREY or int(dataset.get("SamplesPerPixel") or 1) != 1:
        return f"the pictures are not grey (colour model {colour})"
    if "MOSAIC" in (dataset.get("ImageType") or []):
        return "the slices are tiled into one picture (mosaic)"
    if int(dataset.get("NumberOfFrames") or 1) > 1 and not dataset.get(GROUPS[1]):
        return "a file of several frames does not say where each of them lies"
    missing = [
        name
        for name, value in (("position", position), ("orientation", cosines), ("pixel spacing", spacing))
        if value is None
    ]
    if missing:
        return f"the pictures have no {' and no '.join(missing)} in space"
    if spacing is not None and spacing.min() <= 0:
        return f"the pixel spacing is {spacing[0]:g} × {spacing[1]:g} mm"
    return None


def _thickness(elements: Mapping[str, Any]) -> float | None:
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        value = numbers(elements.get(keyword), 1)
        if value is not None and value[0] > 0:
            return float(value[0])
    return None


def _text(elements: Mapping[str, Any], keywords: Iterable[str]) -> str:
    value = next((elements[keyword] for keyword in keywords if keyword in elements), "")
    return str(value) if isinstance(value, str) or not isinstance(value, Iterable) else "/".join(map(str, value))
