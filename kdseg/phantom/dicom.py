"""A phantom angiogram as an X-Ray Angiographic Image file, in the encodings that real machines and archives use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from kdseg.phantom.angiogram import Angiogram

__all__ = ["ENCODINGS", "Encoding", "write_dicom"]

XA_STORAGE = "1.2.840.10008.5.1.4.1.1.12.1"  # X-Ray Angiographic Image Storage
MILLISECONDS_A_FRAME = 66.7


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

    All identifiers are made up from ``seed``, ``patient`` and ``series``, so the same acquisition gives the same bytes.
    In a cine, RepresentativeFrameNumber names the frame with the most contrast, which is the last.

    Args:
        path: of the new file.
        angiogram: frames, angles and pixel spacing.
        encoding: of the pixels.
        patient: number of the patient in the set, from 1.
        series: number of the acquisition in the set, from 1.
        seed: of the set.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid

    def uid(kind: str, number: int) -> str:
        return str(generate_uid(entropy_srcs=["kdseg phantom", str(seed), kind, str(number)]))

    arm = angiogram.arm
    count, rows, columns = angiogram.frames.shape
    file = Dataset()
    file.SOPClassUID = XA_STORAGE
    file.SOPInstanceUID = uid("instance", series)
    file.StudyInstanceUID = uid("study", patient)
    file.SeriesInstanceUID = uid("series", series)
    file.PatientName = f"Phantom^{patient:04d}"
    file.PatientID = f"PHANTOM-{patient:04d}"
    file.PatientBirthDate = file.PatientSex = ""
    file.StudyDate, file.StudyTime, file.StudyID, file.AccessionNumber = "20000101", "120000", str(patient), ""
    file.ReferringPhysicianName = ""
    file.Modality, file.Manufacturer, file.ManufacturerModelName = "XA", "kdseg", "phantom"
    file.SeriesNumber, file.InstanceNumber, file.PatientOrientation = series, 1, ""
    file.ImageType = ["ORIGINAL", "PRIMARY", "SINGLE PLANE"]
    file.ImageComments = "Generated picture; shows no patient"
    file.BurnedInAnnotation = "NO"
    file.KVP, file.Exposure, file.RadiationSetting, file.PositionerMotion = None, None, "GR", "STATIC"
    file.PositionerPrimaryAngle = f"{arm.primary:.1f}"
    file.PositionerSecondaryAngle = f"{arm.secondary:.1f}"
    file.DistanceSourceToPatient, file.DistanceSourceToDetector = arm.source_to_patient, arm.source_to_detector
    file.EstimatedRadiographicMagnificationFactor = f"{arm.source_to_detector / arm.source_to_patient:.4f}"
    file.ImagerPixelSpacing = [f"{arm.spacing:.4f}", f"{arm.spacing:.4f}"]
    file.PixelIntensityRelationship = "DISP"
    if count > 1:
        file.NumberOfFrames = count
        file.FrameTime = f"{MILLISECONDS_A_FRAME}"
        file.FrameIncrementPointer = 0x00181063  # FrameTime
        file.RepresentativeFrameNumber = count
    file.SamplesPerPixel, file.PixelRepresentation = 1, 0
    file.PhotometricInterpretation = encoding.photometric
    file.Rows, file.Columns = rows, columns
    file.BitsAllocated = 8 if encoding.bits == 8 else 16
    file.BitsStored, file.HighBit = encoding.bits, encoding.bits - 1

    white = 2**encoding.bits - 1
    greys = angiogram.frames if encoding.photometric == "MONOCHROME2" else 1.0 - angiogram.frames
    # double precision, since 16 bits of white do not survive single precision's rounding everywhere alike
    stored = np.rint(greys.astype(np.float64) * white).astype(np.uint8 if encoding.bits == 8 else "<u2")
    low, high = np.quantile(stored, [0.01, 0.99])
    file.WindowCenter, file.WindowWidth = f"{(low + high) / 2.0:.1f}", f"{max(high - low, 2.0) * 1.1:.1f}"
    file.PixelData = stored.tobytes()  # an even number of bytes: sizes are even
    file["PixelData"].VR = "OB" if encoding.bits == 8 else "OW"

    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if encoding.compressed:
        file.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    file.save_as(path, enforce_file_format=True)
