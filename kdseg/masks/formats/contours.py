"""RTSTRUCT of a volume: closed contours in the planes of its slices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kdseg.data.formats.dicom.geometry import LPS_TO_RAS
from kdseg.errors import UserError
from kdseg.masks.formats.dicom_head import item, new_dataset, open_sources, referenced_series, source_series
from kdseg.masks.mask import Mask
from kdseg.pictures.colours import class_colours

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["write_contours"]

STRUCTURE_SET_STORAGE = "1.2.840.10008.5.1.4.1.1.481.3"
STUDY_COMPONENT = "1.2.840.10008.3.1.2.3.2"


def write_contours(mask: Mask, path: Path) -> list[str]:
    """Write a structure set with a region for each class, and a closed contour for each of its parts in each slice.

    Contours run halfway between the centres of the voxels inside and outside, so that filling them by the centres gives
    the mask again; a hole is a contour within a contour (exclusive or, as planning systems read it). Coordinates are
    rounded to a thousandth of a millimetre.

    Returns:
        remarks on what is not as one would wish.

    Raises:
        UserError: when the series was resampled while it was read, is not what the mask was predicted from, or cannot
            be referred to.
    """
    series = source_series(mask)
    sources, remarks = open_sources(series.files)
    if series.refusal is not None:
        raise UserError(
            mask.source.name,
            found=series.refusal,
            expected="slices with positions in which contours can lie",
            fix="write the mask as NIfTI (--format nifti)",
        )
    dataset = new_dataset(mask, sources[0], STRUCTURE_SET_STORAGE, "RTSTRUCT", "Contours by kdseg; research only")
    dataset.OperatorsName = ""
    dataset.StructureSetLabel, dataset.StructureSetName = "KDSEG", mask.maker.task[:64] or "kdseg"
    dataset.StructureSetDate, dataset.StructureSetTime = dataset.ContentDate, dataset.ContentTime
    dataset.ApprovalStatus = "UNAPPROVED"
    space = sources[0].FrameOfReferenceUID
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = space, ""
    dataset.ReferencedFrameOfReferenceSequence = [_frame_of_reference(sources, space)]
    dataset.StructureSetROISequence, dataset.ROIContourSequence, dataset.RTROIObservationsSequence = [], [], []
    to_world = LPS_TO_RAS @ mask.affine
    by_path = dict(zip(series.files, sources, strict=True))
    slices = [by_path[frame.path] for frame in series.stack.frames]
    numbers = [frame.index + 1 if by_path[frame.path].get("NumberOfFrames") else None for frame in series.stack.frames]
    for (number, name), colour in zip(mask.classes.items(), class_colours(len(mask.classes)), strict=True):
        region = item(ROINumber=number, ReferencedFrameOfReferenceUID=space, ROIName=name[:64])
        region.ROIGenerationAlgorithm = "AUTOMATIC"
        dataset.StructureSetROISequence.append(region)
        contours = [
            _contour(points, place, to_world, slices[place], numbers[place])
            for place in range(mask.values.shape[3])
            for points in _outlines(mask.values[0, :, :, place] == number)
        ]
        drawn = item(ROIDisplayColor=list(colour), ReferencedROINumber=number)
        if contours:
            drawn.ContourSequence = contours
        dataset.ROIContourSequence.append(drawn)
        observed = item(ObservationNumber=number, ReferencedROINumber=number, RTROIInterpretedType="")
        observed.ROIInterpreter = ""
        dataset.RTROIObservationsSequence.append(observed)
    dataset.save_as(path, enforce_file_format=True)
    return remarks


def _outlines(area: np.ndarray) -> list[np.ndarray]:
    """The closed outlines ``N2`` of an area ``WH`` in its index coordinates."""
    from skimage.measure import find_contours

    if not area.any():
        return []
    # a border of nothing, so that what touches the edge of the picture is closed there
    found = find_contours(np.pad(area, 1).astype(np.float32), 0.5)
    # the first point comes again at the end
    return [points[:-1] - 1 for points in found]


def _contour(points: np.ndarray, place: int, to_world: np.ndarray, source: Dataset, number: int | None) -> Dataset:
    index = np.column_stack([points, np.full(len(points), place), np.ones(len(points))])
    world = (index @ to_world.T)[:, :3]
    image = item(ReferencedSOPClassUID=source.SOPClassUID, ReferencedSOPInstanceUID=source.SOPInstanceUID)
    if number is not None:
        image.ReferencedFrameNumber = number
    contour = item(ContourImageSequence=[image], ContourGeometricType="CLOSED_PLANAR")
    contour.NumberOfContourPoints = len(points)
    contour.ContourData = [f"{value:.3f}" for value in world.ravel()]
    return contour


def _frame_of_reference(sources: list[Dataset], space: str) -> Dataset:
    series = referenced_series(sources)
    images = series.ReferencedInstanceSequence
    del series.ReferencedInstanceSequence
    series.ContourImageSequence = images
    study = item(ReferencedSOPClassUID=STUDY_COMPONENT, ReferencedSOPInstanceUID=sources[0].StudyInstanceUID)
    study.RTReferencedSeriesSequence = [series]
    return item(FrameOfReferenceUID=space, RTReferencedStudySequence=[study])
