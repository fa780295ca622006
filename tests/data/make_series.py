"""Tiny DICOM series, enhanced files and structure sets, written with pydicom for the tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    RTStructureSetStorage,
    generate_uid,
)

AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
SECRET = "Secret^Person"


def values(shape: Sequence[int] = (6, 5, 4), seed: int = 0) -> np.ndarray:
    """Stored values ``(W, H, D)`` without any symmetry."""
    return np.random.default_rng(seed).integers(0, 1000, tuple(shape)).astype(np.int16)


def oblique() -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of rows and columns, turned about two axes."""
    a, b = 0.3, 0.2
    row = np.array([np.cos(a), np.sin(a), 0.0])
    column = np.array([-np.sin(a) * np.cos(b), np.cos(a) * np.cos(b), np.sin(b)])
    return row, column


def straight(count: int, step: float = 3.0, directions: Any = AXIAL, origin: Any = (-10.0, 20.0, 30.0)) -> np.ndarray:
    """Positions of ``count`` slices along the normal."""
    return np.asarray(origin) + np.outer(np.arange(count) * step, np.cross(*directions))


def base(storage: str, modality: str, series: str, study: str, space: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = storage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = study, series, space
    dataset.PatientName, dataset.PatientID, dataset.Modality = SECRET, SECRET, modality
    dataset.PatientBirthDate = dataset.PatientSex = dataset.StudyID = dataset.AccessionNumber = ""
    dataset.StudyDate, dataset.StudyTime, dataset.SeriesNumber = "20200101", "120000", 1
    return dataset


def set_pixels(dataset: Dataset, frames: np.ndarray) -> None:
    """Frames ``(F, rows, columns)`` or one ``(rows, columns)``, int16."""
    dataset.Rows, dataset.Columns = frames.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.PixelData = frames.astype("<i2").tobytes()


def write_series(
    folder: Path,
    volume: np.ndarray,
    positions: np.ndarray,
    directions: Any = AXIAL,
    pixel_spacing: tuple[float, float] = (0.8, 0.7),
    each: Sequence[Mapping[str, Any]] = (),
    series: str | None = None,
    study: str | None = None,
    space: str | None = None,
    compress: Any = None,
    **elements: Any,
) -> list[Path]:
    """A classic series of ``volume (W, H, D)``; names and instance numbers are in an order of their own.

    Args:
        pixel_spacing: between columns and between rows.
        each: elements of the single slices.
        elements: of all slices.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = volume.shape[2]
    series, study, space = series or generate_uid(), study or generate_uid(), space or generate_uid()
    order = np.random.default_rng(1).permutation(count)
    paths = []
    for index in range(count):
        modality = elements.get("Modality", "CT")
        dataset = base(CTImageStorage if modality == "CT" else MRImageStorage, modality, series, study, space)
        dataset.ImagePositionPatient = [round(float(value), 6) for value in positions[index]]
        dataset.ImageOrientationPatient = [round(float(value), 9) for value in np.ravel(directions)]
        dataset.PixelSpacing = [pixel_spacing[1], pixel_spacing[0]]
        dataset.SliceThickness, dataset.InstanceNumber = 2.5, int(order[index]) + 1
        set_pixels(dataset, volume[..., index].T)
        for keyword, value in {**elements, **(each[index] if each else {})}.items():
            setattr(dataset, keyword, value)
        if compress is not None:
            dataset.compress(compress, generate_instance_uid=False)
        paths.append(folder / f"{series[-6:]}_{order[index]}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def write_enhanced(
    path: Path, volume: np.ndarray, positions: np.ndarray, slopes: Sequence[float], echoes: Sequence[float] = ()
) -> Path:
    """An enhanced MR file of ``volume (W, H, D)``; frames in reversed order, each with its slope and its echo time.

    A private group repeats the header of the classic file with another position, as one vendor does.
    """
    dataset = base(EnhancedMRImageStorage, "MR", generate_uid(), generate_uid(), generate_uid())
    set_pixels(dataset, volume[..., ::-1].transpose(2, 1, 0))
    dataset.NumberOfFrames = volume.shape[2]
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = list(np.ravel(AXIAL))
    measures.PixelSpacing, measures.SliceThickness = [0.7, 0.8], 9
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    dataset.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for place, slope in zip(positions[::-1], slopes[::-1], strict=True):
        group, position, transformation, private = Dataset(), Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = [float(value) for value in place]
        transformation.RescaleSlope, transformation.RescaleIntercept = slope, 1
        private.ImagePositionPatient = [0, 0, 0]
        group.PlanePositionSequence, group.PixelValueTransformationSequence = [position], [transformation]
        group.private_block(0x2005, "A VENDOR", create=True).add_new(0x0F, "SQ", [private])
        if echoes:
            echo = Dataset()
            echo.EffectiveEchoTime = echoes[-1 - len(groups)]
            group.MREchoSequence = [echo]
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_structures(
    path: Path, regions: Mapping[str, Sequence[np.ndarray]], series: str, space: str, study: str
) -> Path:
    """An RTSTRUCT file: regions by name, each a list of contours ``N3`` in mm."""
    dataset = base(RTStructureSetStorage, "RTSTRUCT", generate_uid(), study, space)
    in_series, in_study, in_space = Dataset(), Dataset(), Dataset()
    in_series.SeriesInstanceUID = series
    in_study.ReferencedSOPInstanceUID, in_study.RTReferencedSeriesSequence = study, [in_series]
    in_space.FrameOfReferenceUID, in_space.RTReferencedStudySequence = space, [in_study]
    dataset.ReferencedFrameOfReferenceSequence = [in_space]
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(regions.items(), 1):
        region, drawn = Dataset(), Dataset()
        region.ROINumber, region.ROIName, region.ReferencedFrameOfReferenceUID = number, name, space
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for points in contours:
            contour = Dataset()
            contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
            contour.ContourData = [float(value) for value in np.ravel(points)]
            drawn.ContourSequence.append(contour)
        dataset.StructureSetROISequence.append(region)
        dataset.ROIContourSequence.append(drawn)
    dataset.save_as(path, enforce_file_format=True)
    return path
