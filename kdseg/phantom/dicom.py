"""A phantom angiogram as an X-Ray Angiographic Image file, in the encodings that real machines and archives use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from kdseg.phantom.angiogram import Angiogram

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["ENCODINGS", "Encoding", "finish", "new_file", "write_dicom"]

XA_STORAGE = "1.2.840.10008.5.1.4.1.1.12.1"  # X-Ray Angiographic Image Storage
MILLISECONDS_A_FRAME = 66.7
SOURCE_TO_PATIENT, SOURCE_TO_DETECTOR = 750.0, 1050.0  # mm


@dataclass(frozen=True)
class Encoding:
    """How grey values are stored: significant bits, which end of the scale is white, and whether RLE packs them."""

    bits: Literal[8, 12, 16]
    photometric: Literal["MONOCHROME1", "MONOCHROME2"]
    compressed: bool = False


ENCODINGS = (
    Encoding(8, "MONOCHROME2"),
    Encoding(12, "MONOCHROME2"),
    Encoding(8, "MONOCHROME1"),
    Encoding(12, "MONOCHROME2", compressed=True),
    Encoding(8, "MONOCHROME2", compressed=True),
    Encoding(16, "MONOCHROME2"),
    Encoding(12, "MONOCHROME1"),
)


def write_dicom(path: Path, angiogram: Angiogram, encoding: Encoding, *, patient: int, series: int, seed: int) -> None:
    """Write one acquisition. Explicit VR little endian, or RLE; a cine where there is more than one frame.

    In a cine, RepresentativeFrameNumber names the frame with the most contrast, which is the last.

    Args:
        path: of the new file.
        angiogram: frames, angles and pixel spacing.
        encoding: of the pixels.
        patient: number of the patient in the set, from 1.
        series: number of the acquisition in the set, from 1.
        seed: of the set.
    """
    view, magnification = angiogram.view, SOURCE_TO_DETECTOR / SOURCE_TO_PATIENT
    count, rows, columns = angiogram.frames.shape
    file = new_file("XA", XA_STORAGE, patient=patient, series=series, seed=seed)
    file.ImageType = ["ORIGINAL", "PRIMARY", "SINGLE PLANE"]
    file.KVP, file.Exposure, file.RadiationSetting, file.PositionerMotion = None, None, "GR", "STATIC"
    file.PositionerPrimaryAngle, file.PositionerSecondaryAngle = f"{view.primary:.1f}", f"{view.secondary:.1f}"
    file.DistanceSourceToPatient, file.DistanceSourceToDetector = SOURCE_TO_PATIENT, SOURCE_TO_DETECTOR
    file.EstimatedRadiographicMagnificationFactor = f"{magnification:.4f}"
    file.ImagerPixelSpacing = [f"{view.spacing * magnification:.4f}"] * 2
    file.PixelIntensityRelationship = "DISP"
    if count > 1:
        file.NumberOfFrames = count
        file.FrameTime = f"{MILLISECONDS_A_FRAME}"
        file.FrameIncrementPointer = 0x00181063  # FrameTime
        file.RepresentativeFrameNumber = count
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, encoding.photometric
    file.Rows, file.Columns = rows, columns
    white = 2**encoding.bits - 1
    greys = angiogram.frames if encoding.photometric == "MONOCHROME2" else 1.0 - angiogram.frames
    # double precision, since 16 bits of white do not survive single precision's rounding everywhere alike
    stored = np.rint(greys.astype(np.float64) * white).astype(np.uint8 if encoding.bits == 8 else "<u2")
    low, high = np.quantile(stored, [0.01, 0.99])
    file.WindowCenter, file.WindowWidth = f"{(low + high) / 2.0:.1f}", f"{max(high - low, 2.0) * 1.1:.1f}"
    finish(file, path, stored.tobytes(), encoding.bits, encoding.compressed)


def new_file(modality: str, sop_class: str, *, patient: int, series: int, seed: int) -> Dataset:
    """A file's head. Identifiers are made up from the numbers, so that the same numbers give the same bytes."""
    from pydicom.dataset import Dataset
    from pydicom.uid import generate_uid

    def uid(kind: str, number: int) -> str:
        return str(generate_uid(entropy_srcs=["kdseg phantom", modality, str(seed), kind, str(number)]))

    file = Dataset()
    file.SOPClassUID, file.SOPInstanceUID = sop_class, uid("instance", series)
    file.StudyInstanceUID, file.SeriesInstanceUID = uid("study", patient), uid("series", series)
    file.PatientName, file.PatientID = f"Phantom^{patient:04d}", f"PHANTOM-{patient:04d}"
    file.PatientBirthDate = file.PatientSex = file.AccessionNumber = file.ReferringPhysicianName = ""
    file.StudyDate, file.StudyTime, file.StudyID = "20000101", "120000", str(patient)
    file.Modality, file.Manufacturer, file.ManufacturerModelName = modality, "kdseg", "phantom"
    file.SeriesNumber, file.InstanceNumber, file.PatientOrientation = series, 1, ""
    file.ImageComments, file.BurnedInAnnotation = "Generated picture; shows no patient", "NO"
    return file


def finish(file: Dataset, path: Path, pixels: bytes, bits: int, compressed: bool = False) -> None:
    """Add the pixels and write the file."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, RLELossless

    file.BitsAllocated, file.BitsStored, file.HighBit = 8 if bits == 8 else 16, bits, bits - 1
    file.PixelRepresentation = 0
    file.PixelData = pixels + b"\0" * (len(pixels) % 2)
    file["PixelData"].VR = "OB" if bits == 8 else "OW"
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if compressed:
        file.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    file.save_as(path, enforce_file_format=True)
