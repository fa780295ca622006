"""What all DICOM files of kdseg have in common: whose study they belong to, what made them, what they refer to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kdseg._version import __version__
from kdseg.data.formats.dicom.headers import open_header
from kdseg.data.formats.dicom.series import DicomSeries
from kdseg.data.formats.dicom.studies import dicom_series
from kdseg.errors import UserError
from kdseg.masks.mark import MARK, words_of
from kdseg.masks.mask import Mask

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = [
    "PURPOSE",
    "code_item",
    "equipment",
    "item",
    "new_dataset",
    "open_sources",
    "referenced_series",
    "series_number",
    "source_series",
]

# the identifiers of patient and study, by which an archive files an object, and no others; they may be empty
PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
STUDY = ("StudyDate", "StudyTime", "StudyID", "AccessionNumber")
IDENTITY = (*PATIENT, *STUDY)
ISSUER = "IssuerOfPatientID"
KEPT = (
    *IDENTITY,
    ISSUER,
    *("SpecificCharacterSet", "StudyInstanceUID", "FrameOfReferenceUID", "SOPClassUID", "SOPInstanceUID"),
    *("SeriesInstanceUID", "SeriesNumber", "Modality", "Rows", "Columns", "NumberOfFrames"),
)
PURPOSE = "Segmentation by kdseg; research only, not for clinical use"


def open_sources(files: Sequence[Path], *more: str, spatial: bool = True) -> tuple[list[Dataset], list[str]]:
    """The headers of a series' files, with nothing in them but what a mask's file may take over, and ``more``.

    What an anonymiser has emptied is taken from the file's meta header, or made up from the instances' identifiers, so
    that the same series gets the same one every time; the remarks say so.

    Args:
        files: of one series.
        more: keywords of further elements.
        spatial: a frame of reference is needed.

    Returns:
        the headers, and remarks.

    Raises:
        UserError: when a file cannot be read, or no instance can be referred to.
    """
    from pydicom.uid import generate_uid

    headers, remarks = [open_header(path, (*KEPT, *more)) for path in files], []
    for header, path in zip(headers, files, strict=True):
        # as text of a character set that has the names of classes too, whatever the source's was
        for keyword in (*IDENTITY, ISSUER):
            if keyword in header or keyword in IDENTITY:
                setattr(header, keyword, str(header.get(keyword) or ""))
        header.SpecificCharacterSet = "ISO_IR 192"
        for keyword in ("SOPClassUID", "SOPInstanceUID"):
            if not header.get(keyword):
                setattr(header, keyword, header.file_meta.get(f"MediaStorage{keyword}", ""))
            if not header.get(keyword):
                found, fix = f"a file without {keyword}", "write the mask as NIfTI (--format nifti)"
                raise UserError(path.name, found=found, expected="an instance that can be referred to", fix=fix)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", *(["FrameOfReferenceUID"] if spatial else [])):
        if not headers[0].get(keyword):
            made_up = generate_uid(
                entropy_srcs=["kdseg", keyword, min(str(header.SOPInstanceUID) for header in headers)]
            )
            remarks.append(f"the files have no {keyword}: one was made up")
            for header in headers:
                setattr(header, keyword, made_up)
    return headers, remarks


def source_series(mask: Mask) -> DicomSeries:
    """The series that a volume's mask was predicted from.

    Raises:
        UserError: when its files are no longer what they were.
    """
    files = [Path(path) for path in mask.files]
    for series in dicom_series(files[0] if len(files) == 1 else files):
        same = series.series == mask.series and series.shape == mask.values.shape[1:]
        if same and np.allclose(series.affine, mask.affine, atol=1e-3):
            return series
    raise UserError(
        mask.source.name,
        found="no series of the mask's size and place",
        expected="the DICOM files that the mask was predicted from",
        fix="segment the series again",
    )


def new_dataset(mask: Mask, source: Dataset, sop_class: str, modality: str, description: str) -> Dataset:
    """A DICOM object in the study of ``source``: identifiers, series, equipment with kdseg's mark; no content yet."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    for keyword in ("SpecificCharacterSet", *IDENTITY, ISSUER, "StudyInstanceUID"):
        if keyword in source:
            dataset[keyword] = source[keyword]
    dataset.ReferringPhysicianName = ""
    dataset.Modality, dataset.SeriesInstanceUID = modality, generate_uid()
    dataset.SeriesNumber, dataset.InstanceNumber = series_number(source), 1
    dataset.SeriesDescription = description
    now = datetime.now()
    for part in ("Series", "Content", "InstanceCreation"):
        setattr(dataset, f"{part}Date", now.strftime("%Y%m%d"))
        setattr(dataset, f"{part}Time", now.strftime("%H%M%S"))
    dataset.Manufacturer = dataset.ManufacturerModelName = MARK
    dataset.SoftwareVersions, dataset.DeviceSerialNumber = __version__, mask.maker.student or "0"
    dataset.ContributingEquipmentSequence = [equipment(mask)]
    return dataset


def series_number(source: Dataset) -> int:
    """Behind the source's own series, where people look for what was derived from it."""
    return int(source.get("SeriesNumber") or 0) % 10_000_000 * 100 + 1


def equipment(mask: Mask) -> Dataset:
    """Contributing equipment that carries kdseg's mark."""
    return item(
        PurposeOfReferenceCodeSequence=[code_item(("109102", "DCM", "Processing Equipment"))],
        Manufacturer=MARK,
        SoftwareVersions=__version__,
        ContributionDescription=words_of(mask, with_labels=False),
    )


def item(**elements: object) -> Dataset:
    """An item of a sequence, with these elements by their keywords."""
    from pydicom import Dataset

    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def code_item(code: Sequence[str]) -> Dataset:
    """A coded concept: value, scheme, meaning."""
    value, scheme, meaning = code
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def referenced_series(sources: Sequence[Dataset]) -> Dataset:
    """The reference to the series that ``sources`` are the instances of."""
    instances = [
        item(ReferencedSOPClassUID=source.SOPClassUID, ReferencedSOPInstanceUID=source.SOPInstanceUID)
        for source in sources
    ]
    return item(SeriesInstanceUID=sources[0].SeriesInstanceUID, ReferencedInstanceSequence=instances)
