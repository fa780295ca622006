"""A DICOM slide-microscopy image as one field: its tiles put where the file says they belong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kdseg.data.dicom.decoders import decoder_of
from kdseg.data.frame_source import FrameSource
from kdseg.errors import UserError

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["MOST_PIXELS", "SLIDE_STORAGE", "check_field_size", "open_slide"]

SLIDE_STORAGE = "1.2.840.10008.5.1.4.1.1.77.1.6"  # VL Whole Slide Microscopy Image Storage
# what Pillow takes at most; as float32 RGB this is 2 GB, about as much as a workstation holds beside a network
MOST_PIXELS = 178_956_970


def open_slide(dataset: Dataset, path: Path) -> FrameSource:
    """Put the tiles of a slide-microscopy image together.

    TILED_FULL files give the tiles row by row; in all others (TILED_SPARSE) each tile tells its position in the total
    pixel matrix. What no tile covers is white, as the glass is. Tiles that reach beyond the matrix are cut off. Frames
    are decoded one at a time. The spacing is PixelSpacing in mm, as everywhere in DICOM.

    Args:
        dataset: the whole file.
        path: its path, for messages.

    Raises:
        UserError: for a picture of the slide's label or of the whole glass; for several focal planes, optical paths or
            parts of a concatenation; for a matrix larger than :data:`MOST_PIXELS`; for tiles without a position.
    """
    from pydicom.pixels import iter_pixels

    kind = str((list(dataset.get("ImageType") or []) + [""] * 3)[2])
    if kind in ("LABEL", "OVERVIEW"):
        raise UserError(
            path.name,
            found=f"the slide's {kind.lower()}",
            expected="an image of the tissue (VOLUME)",
            fix="leave this file out; a label may name the patient",
        )
    rows, columns = (int(dataset.get(f"TotalPixelMatrix{side}") or 0) for side in ("Rows", "Columns"))
    check_field_size(path.name, columns, rows)
    white = 2 ** int(dataset.BitsStored) - 1
    grey = int(dataset.SamplesPerPixel) == 1
    matrix = np.full((rows, columns) if grey else (rows, columns, 3), white, np.uint8 if white < 256 else np.uint16)
    tiles = iter_pixels(dataset, decoding_plugin=decoder_of(dataset))
    for (top, left), tile in zip(_corners(dataset, path, rows, columns), tiles, strict=True):
        place = matrix[max(top, 0) : top + tile.shape[0], max(left, 0) : left + tile.shape[1]]
        place[...] = tile[max(-top, 0) :, max(-left, 0) :][: place.shape[0], : place.shape[1]]
    spacing = _spacing(dataset)
    return FrameSource(
        read=lambda index: matrix.swapaxes(0, 1),
        count=1,
        low=0.0,
        high=float(white),
        file_format="dicom",
        affine=np.diag([*(spacing or (1.0, 1.0)), 1.0, 1.0]),
        spacing_known=spacing is not None,
    )


def check_field_size(name: str, width: int, height: int) -> None:
    """Refuse a field that has no pixels, or more than fit into the memory of an ordinary machine.

    Raises:
        UserError: with what to do.
    """
    if not 0 < width * height <= MOST_PIXELS:
        raise UserError(
            name,
            found=f"a field of {width}×{height} pixels",
            expected=f"one of at most {MOST_PIXELS // 10**6} million pixels",
            fix="take a level of lower resolution, or cut out the region of interest",
        )


def _corners(dataset: Dataset, path: Path, rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """Row and column, from 0, of each tile's first pixel in the total pixel matrix."""
    frames = int(dataset.get("NumberOfFrames") or 1)
    height, width = int(dataset.Rows), int(dataset.Columns)
    if dataset.get("DimensionOrganizationType") == "TILED_FULL":
        corners = [(top, left) for top in range(0, rows, height) for left in range(0, columns, width)]
    else:
        corners = [_own_corner(groups, path) for groups in dataset.get("PerFrameFunctionalGroupsSequence") or []]
    if len(corners) != frames or len(set(corners)) != frames:
        raise UserError(
            path.name,
            found=f"{frames} tiles for {len(set(corners))} places of {height}×{width} pixels",
            expected="one tile for each place",
            fix="export one focal plane and one optical path, as one whole file",
        )
    return iter(corners)


def _own_corner(groups: Dataset, path: Path) -> tuple[int, int]:
    try:
        position = groups.PlanePositionSlideSequence[0]
        row, column = position.RowPositionInTotalImagePixelMatrix, position.ColumnPositionInTotalImagePixelMatrix
    except (AttributeError, IndexError):
        raise UserError(
            path.name,
            found="a tile without a position in the total pixel matrix",
            expected="PlanePositionSlideSequence for every frame",
            fix="export the slide again",
        ) from None
    return int(row) - 1, int(column) - 1


def _spacing(dataset: Dataset) -> tuple[float, float] | None:
    """The spacing (along a row, along a column) in mm, or None."""
    per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
    for groups in [*(dataset.get("SharedFunctionalGroupsSequence") or []), *per_frame[:1]]:
        measures = groups.get("PixelMeasuresSequence")
        values = [float(value) for value in (measures[0].get("PixelSpacing") or [])] if measures else []
        if len(values) == 2 and min(values) > 0:
            # DICOM gives the distance between rows first, which is the spacing along a column
            return values[1], values[0]
    return None
