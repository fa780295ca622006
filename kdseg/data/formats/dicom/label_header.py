"""Which structures a DICOM SEG or RTSTRUCT file outlines, and on which series."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kdseg.data.formats.dicom.headers import open_header
from kdseg.data.formats.dicom.pseudonym import pseudonym
from kdseg.data.open import decoding
from kdseg.errors import UserError

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["LABEL_MODALITIES", "DicomLabels", "read_label_header"]

LABEL_MODALITIES = ("SEG", "RTSTRUCT")
KEYWORDS = (
    "Modality",
    "PatientID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "SegmentSequence",
    "ReferencedSeriesSequence",
    "StructureSetROISequence",
    "ReferencedFrameOfReferenceSequence",
)


@dataclass(frozen=True)
class DicomLabels:
    """A DICOM SEG or RTSTRUCT file."""

    file: str  # its path
    kind: str  # "SEG" or "RTSTRUCT"
    # patient, study: pseudonyms, as in DicomSeries
    patient: str
    study: str
    references: tuple[str, ...]  # pseudonyms of the image series that it was drawn on, where it says so
    spaces: tuple[str, ...]  # pseudonyms of the frames of reference that it was drawn in, where it says so
    names: tuple[str, ...]  # of its segments or regions, in their order


def read_label_header(path: Path) -> DicomLabels:
    """What a SEG or RTSTRUCT file says of itself, without its pixels or contours.

    Raises:
        UserError: when it is neither, or cannot be read.
    """
    dataset = open_header(path, KEYWORDS)
    kind = str(dataset.get("Modality") or "not given")
    if kind not in LABEL_MODALITIES:
        found, expected = f"a DICOM file of modality {kind}", "a segmentation (SEG) or contours (RTSTRUCT)"
        raise UserError(path.name, found=found, expected=expected, fix="name the file that has the labels")
    with decoding(path.name, "a header that cannot be read", "a whole SEG or RTSTRUCT file"):
        if kind == "SEG":
            names = [str(item.get("SegmentLabel") or "") for item in dataset.get("SegmentSequence") or []]
            series = dataset.get("ReferencedSeriesSequence") or []
        else:
            names = [str(item.get("ROIName") or "") for item in dataset.get("StructureSetROISequence") or []]
            series = _structure_set_series(dataset)
        spaces = [dataset, *(dataset.get("StructureSetROISequence") or [])]
        return DicomLabels(
            file=str(path),
            kind=kind,
            patient="".join(_pseudonyms([dataset], "PatientID")),
            study=pseudonym(str(dataset.get("StudyInstanceUID") or "")),
            references=_pseudonyms(series, "SeriesInstanceUID"),
            spaces=_pseudonyms(spaces, "FrameOfReferenceUID") + _pseudonyms(spaces, "ReferencedFrameOfReferenceUID"),
            names=tuple(names),
        )


def _pseudonyms(items: Iterable[Dataset], keyword: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(pseudonym(str(item.get(keyword))) for item in items if item.get(keyword)))


def _structure_set_series(dataset: Dataset) -> list[Dataset]:
    return [
        series
        for space in dataset.get("ReferencedFrameOfReferenceSequence") or []
        for study in space.get("RTReferencedStudySequence") or []
        for series in study.get("RTReferencedSeriesSequence") or []
    ]
