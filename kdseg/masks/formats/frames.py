"""DICOM SEG of projection pictures: the frames of a cine, or one picture, which lie nowhere in space.

highdicom writes SEG on sources with positions only. The standard asks for positions where a frame does not say which
frame of which instance it was derived from; here each says so, and none is made up.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kdseg.errors import UserError
from kdseg.masks.formats.dicom_head import PURPOSE, code_item, item, new_dataset, open_sources, referenced_series
from kdseg.masks.formats.segments import coding_remarks, segment_descriptions
from kdseg.masks.mask import Mask

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["write_frames"]

SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.4"
SLIDE_STORAGE = "1.2.840.10008.5.1.4.1.1.77.1.6"
DERIVED_BY = ("113076", "DCM", "Segmentation")
SOURCE_IMAGE = ("121322", "DCM", "Source image for image processing operation")


def write_frames(mask: Mask, path: Path) -> list[str]:
    """Write a binary SEG with a frame for each class and each frame of the source in which it is found.

    Returns:
        remarks on what is not as one would wish.

    Raises:
        UserError: for a slide, whose tiles have another order than the picture.
    """
    from pydicom.sequence import Sequence
    from pydicom.uid import generate_uid

    # a frame of reference is not needed where nothing lies anywhere
    (source,), remarks = open_sources([mask.source], spatial=False)
    if source.SOPClassUID == SLIDE_STORAGE:
        found, fix = "a slide, whose tiles have an order of their own", "write the mask as NIfTI (--format nifti)"
        raise UserError(mask.source.name, found=found, expected="a picture or a cine for a SEG", fix=fix)
    dataset = new_dataset(mask, source, SEGMENTATION_STORAGE, "SEG", PURPOSE)
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.ContentLabel, dataset.ContentDescription, dataset.ContentCreatorName = "KDSEG", mask.maker.task[:64], ""
    dataset.SegmentationType, dataset.SegmentsOverlap = "BINARY", "NO"
    dataset.SegmentSequence = Sequence(segment_descriptions(mask))
    dataset.LossyImageCompression, dataset.PatientOrientation = "00", ""
    if source.get("FrameOfReferenceUID"):
        dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = source.FrameOfReferenceUID, ""
    dataset.ReferencedSeriesSequence = [referenced_series([source])]

    places = [
        (number, index) for number in mask.classes for index, frame in enumerate(mask.values) if (frame == number).any()
    ]
    # a SEG has at least one frame: of an empty mask the first, empty
    places = places or [(1, 0)]
    organisation = generate_uid()
    dataset.DimensionOrganizationSequence = [item(DimensionOrganizationUID=organisation)]
    dataset.DimensionIndexSequence = [
        _dimension(organisation, "ReferencedSegmentNumber", "SegmentIdentificationSequence"),
        _dimension(organisation, "TemporalPositionIndex", "FrameContentSequence"),
    ]
    dataset.SharedFunctionalGroupsSequence = [item()]
    dataset.PerFrameFunctionalGroupsSequence = [_groups(mask, source, number, index) for number, index in places]
    _set_pixels(dataset, mask, places)
    dataset.save_as(path, enforce_file_format=True)
    return [*remarks, *coding_remarks(mask)]


def _groups(mask: Mask, source: Dataset, number: int, index: int) -> Dataset:
    """The functional groups of a frame: its segment, and the frame that it was derived from."""
    image = item(
        ReferencedSOPClassUID=source.SOPClassUID,
        ReferencedSOPInstanceUID=source.SOPInstanceUID,
        PurposeOfReferenceCodeSequence=[code_item(SOURCE_IMAGE)],
        SpatialLocationsPreserved="YES",
    )
    if source.get("NumberOfFrames"):
        image.ReferencedFrameNumber = 1 + (index if mask.frame < 0 else mask.frame)
    return item(
        FrameContentSequence=[item(TemporalPositionIndex=index + 1, DimensionIndexValues=[number, index + 1])],
        SegmentIdentificationSequence=[item(ReferencedSegmentNumber=number)],
        DerivationImageSequence=[
            item(DerivationCodeSequence=[code_item(DERIVED_BY)], SourceImageSequence=[image]),
        ],
    )


def _dimension(organisation: str, pointer: str, group: str) -> Dataset:
    from pydicom.datadict import tag_for_keyword

    return item(
        DimensionOrganizationUID=organisation,
        DimensionIndexPointer=tag_for_keyword(pointer),
        FunctionalGroupPointer=tag_for_keyword(group),
        DimensionDescriptionLabel=pointer,
    )


def _set_pixels(dataset: Dataset, mask: Mask, places: list[tuple[int, int]]) -> None:
    _, columns, rows = mask.values.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = len(places), rows, columns
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 1, 1, 0, 0
    frames = np.stack([number == mask.values[index].T for number, index in places])
    # frames follow each other bit by bit, without a gap
    packed = np.packbits(frames.ravel(), bitorder="little").tobytes()
    dataset.PixelData = packed + b"\0" * (len(packed) % 2)
    dataset["PixelData"].VR = "OB"
