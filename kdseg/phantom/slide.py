"""A field as a DICOM slide-microscopy file: tiles in order, or tiles that each tell their position."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kdseg.data.formats.slides import SLIDE_STORAGE

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["write_slide"]


def write_slide(
    path: Path, field: np.ndarray, *, tile: int, sparse: bool, number: int, seed: int, spacing: float
) -> None:
    """Write one field as VL Whole Slide Microscopy, uncompressed.

    Args:
        path: of the new file.
        field: red, green and blue, uint8 ``(H, W, 3)``.
        tile: rows and columns of a tile; what reaches beyond the field is white.
        sparse: TILED_SPARSE, in an order that is not that of the positions, and without tiles that are all white;
            otherwise TILED_FULL.
        number: of the slide, which is one patient's, from 1.
        seed: of the set; identifiers are made up from it and the number.
        spacing: of the pixels, in mm.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    def uid(kind: str) -> str:
        return str(generate_uid(entropy_srcs=["kdseg phantom slide", str(seed), kind, str(number)]))

    rows, columns = field.shape[:2]
    edges = ((0, -rows % tile), (0, -columns % tile), (0, 0))
    whole = np.pad(field, edges, constant_values=255)
    corners = [(top, left) for top in range(0, rows, tile) for left in range(0, columns, tile)]
    tiles = {(top, left): whole[top : top + tile, left : left + tile] for top, left in corners}
    if sparse:
        corners = [corner for corner in reversed(corners) if (tiles[corner] != 255).any()]

    file = Dataset()
    file.SOPClassUID, file.SOPInstanceUID = SLIDE_STORAGE, uid("instance")
    file.StudyInstanceUID, file.SeriesInstanceUID = uid("study"), uid("series")
    file.PatientName, file.PatientID = f"Phantom^{number:04d}", f"PHANTOM-{number:04d}"
    file.PatientBirthDate = file.PatientSex = file.AccessionNumber = file.ReferringPhysicianName = ""
    file.StudyDate, file.StudyTime, file.StudyID = "20000101", "120000", str(number)
    file.Modality, file.Manufacturer, file.ManufacturerModelName = "SM", "kdseg", "phantom"
    file.SeriesNumber, file.InstanceNumber = 1, 1
    file.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    file.ImageComments = "Generated picture; shows no patient"
    file.SamplesPerPixel, file.PhotometricInterpretation, file.PlanarConfiguration = 3, "RGB", 0
    file.Rows, file.Columns, file.NumberOfFrames = tile, tile, len(corners)
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 8, 8, 7, 0
    file.TotalPixelMatrixRows, file.TotalPixelMatrixColumns = rows, columns
    file.TotalPixelMatrixFocalPlanes, file.NumberOfOpticalPaths = 1, 1
    file.DimensionOrganizationType = "TILED_SPARSE" if sparse else "TILED_FULL"
    measures = Dataset()
    measures.PixelSpacing = [spacing, spacing]
    shared = Dataset()
    shared.PixelMeasuresSequence = [measures]
    file.SharedFunctionalGroupsSequence = [shared]
    if sparse:
        file.PerFrameFunctionalGroupsSequence = [_position(*corner) for corner in corners]
    content = b"".join(np.ascontiguousarray(tiles[corner]).tobytes() for corner in corners)
    file.PixelData = content + b"\0" * (len(content) % 2)
    file["PixelData"].VR = "OB"
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.save_as(path, enforce_file_format=True)


def _position(top: int, left: int) -> Dataset:
    from pydicom.dataset import Dataset

    position = Dataset()
    position.RowPositionInTotalImagePixelMatrix = top + 1
    position.ColumnPositionInTotalImagePixelMatrix = left + 1
    groups = Dataset()
    groups.PlanePositionSlideSequence = [position]
    return groups
