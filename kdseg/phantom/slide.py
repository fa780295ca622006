"""A field as a DICOM slide-microscopy file: tiles in order, or tiles that each tell their position."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdseg.data.formats.slides import SLIDE_STORAGE
from kdseg.phantom.dicom import finish, new_file

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
    rows, columns = field.shape[:2]
    edges = ((0, -rows % tile), (0, -columns % tile), (0, 0))
    whole = np.pad(field, edges, constant_values=255)
    corners = [(top, left) for top in range(0, rows, tile) for left in range(0, columns, tile)]
    tiles = {(top, left): whole[top : top + tile, left : left + tile] for top, left in corners}
    if sparse:
        corners = [corner for corner in reversed(corners) if (tiles[corner] != 255).any()]

    file = new_file("SM", SLIDE_STORAGE, patient=number, series=number, seed=seed)
    file.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    file.SamplesPerPixel, file.PhotometricInterpretation, file.PlanarConfiguration = 3, "RGB", 0
    file.Rows, file.Columns, file.NumberOfFrames = tile, tile, len(corners)
    file.TotalPixelMatrixRows, file.TotalPixelMatrixColumns = rows, columns
    file.TotalPixelMatrixFocalPlanes, file.NumberOfOpticalPaths = 1, 1
    file.DimensionOrganizationType = "TILED_SPARSE" if sparse else "TILED_FULL"
    file.SharedFunctionalGroupsSequence = [_item(PixelMeasuresSequence=[_item(PixelSpacing=[spacing, spacing])])]
    if sparse:
        positions = [
            _item(RowPositionInTotalImagePixelMatrix=top + 1, ColumnPositionInTotalImagePixelMatrix=left + 1)
            for top, left in corners
        ]
        file.PerFrameFunctionalGroupsSequence = [_item(PlanePositionSlideSequence=[one]) for one in positions]
    finish(file, path, b"".join(np.ascontiguousarray(tiles[corner]).tobytes() for corner in corners), bits=8)


def _item(**values: Any) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item
