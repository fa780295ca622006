"""Slides as one field: DICOM slide microscopy put together from its tiles, and one level of a whole-slide file."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdseg.data.formats.dicom.decoders import decoder_of
from kdseg.data.formats.dicom.headers import frame_elements, pixel_spacing
from kdseg.data.formats.frame_source import FrameSource, affine_of
from kdseg.errors import UserError

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["SLIDE_STORAGE", "open_slide", "open_whole_slide"]

SLIDE_STORAGE = "1.2.840.10008.5.1.4.1.1.77.1.6"  # VL Whole Slide Microscopy Image Storage
POSITION = ("RowPositionInTotalImagePixelMatrix", "ColumnPositionInTotalImagePixelMatrix")
# what Pillow takes at most; as float32 RGB this is 2 GB, about as much as a workstation holds beside a network
MOST_PIXELS = 178_956_970
# the first that is installed and knows the file; tifffile comes with kdseg and knows slides that are TIFF files inside
BACKENDS = ("cucim", "openslide", "tifffile")
TIFFFILE_SUFFIXES = (".svs", ".tif", ".tiff")
# no slide scanner is that coarse: the resolution is a printer's
COARSEST_MICROMETRES = 40.0


def open_slide(dataset: Dataset, path: Path) -> FrameSource:
    """Put the tiles of a slide-microscopy image together.

    TILED_FULL files give the tiles row by row; in all others (TILED_SPARSE) each tile tells its position in the total
    pixel matrix. What no tile covers is white, as the glass is. Tiles that reach beyond the matrix are cut off. Frames
    are decoded one at a time. (highdicom refuses files without dimension indices, and does not say what is uncovered.)

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
        found, fix = f"the slide's {kind.lower()}", "leave this file out; a label may name the patient"
        raise UserError(path.name, found=found, expected="an image of the tissue (VOLUME)", fix=fix)
    rows, columns = (int(dataset.get(f"TotalPixelMatrix{side}") or 0) for side in ("Rows", "Columns"))
    check_field_size(path.name, columns, rows)
    white = 2 ** int(dataset.BitsStored) - 1
    grey = int(dataset.SamplesPerPixel) == 1
    matrix = np.full((rows, columns) if grey else (rows, columns, 3), white, np.uint8 if white < 256 else np.uint16)
    tiles = iter_pixels(dataset, decoding_plugin=decoder_of(dataset))
    for (top, left), tile in zip(_corners(dataset, path, rows, columns), tiles, strict=True):
        place = matrix[max(top, 0) : top + tile.shape[0], max(left, 0) : left + tile.shape[1]]
        place[...] = tile[max(-top, 0) :, max(-left, 0) :][: place.shape[0], : place.shape[1]]
    affine = affine_of(pixel_spacing(dataset))
    return FrameSource(lambda index: matrix.swapaxes(0, 1), 1, 0.0, float(white), "dicom", affine)


def check_field_size(name: str, width: int, height: int) -> None:
    """Refuse a field that has no pixels, or more than fit into the memory of an ordinary machine.

    Raises:
        UserError: with what to do.
    """
    if not 0 < width * height <= MOST_PIXELS:
        found = f"a field of {width}×{height} pixels"
        fix = "take a level of lower resolution, or cut out the region of interest"
        raise UserError(name, found=found, expected=f"one of at most {MOST_PIXELS // 10**6} million pixels", fix=fix)


def _corners(dataset: Dataset, path: Path, rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """Row and column, from 0, of each tile's first pixel in the total pixel matrix."""
    frames = int(dataset.get("NumberOfFrames") or 1)
    height, width = int(dataset.Rows), int(dataset.Columns)
    if dataset.get("DimensionOrganizationType") == "TILED_FULL":
        corners = [(top, left) for top in range(0, rows, height) for left in range(0, columns, width)]
    else:
        places = [frame_elements(dataset, index, POSITION) for index in range(frames)]
        if any(len(place) < len(POSITION) for place in places):
            found, fix = "a tile without a position in the total pixel matrix", "export the slide again"
            raise UserError(path.name, found=found, expected="PlanePositionSlideSequence for every frame", fix=fix)
        corners = [(int(place[POSITION[0]]) - 1, int(place[POSITION[1]]) - 1) for place in places]
    if len(corners) != frames or len(set(corners)) != frames:
        found = f"{frames} tiles for {len(set(corners))} places of {height}×{width} pixels"
        fix = "export one focal plane and one optical path, as one whole file"
        raise UserError(path.name, found=found, expected="one tile for each place", fix=fix)
    return iter(corners)


def open_whole_slide(path: Path, level: int) -> FrameSource:
    """Read one level of a whole-slide file as one frame in colour.

    Args:
        path: of the file.
        level: 0 is full resolution.

    Raises:
        UserError: when no installed library can read it (what to install is told), when the level is not there, or
            when it is larger than :data:`MOST_PIXELS`.
    """
    from monai.data.wsi_reader import WSIReader

    reader = WSIReader(_backend(path, level), level=level)
    slide = reader.read(path)
    levels = reader.get_level_count(slide)
    if not 0 <= level < levels:
        fix = "choose one of them; 0 is full resolution"
        raise UserError(path.name, found=f"level {level}", expected=f"a level from 0 to {levels - 1}", fix=fix)
    height, width = reader.get_size(slide, level)
    check_field_size(path.name, width, height)
    array, _ = reader.get_data(slide, level=level)
    affine = affine_of(_spacing(reader, slide, level))
    return FrameSource(lambda index: np.asarray(array).transpose(2, 1, 0), 1, 0.0, 255.0, "picture", affine)


def _backend(path: Path, level: int) -> str:
    for backend in BACKENDS:
        # with tifffile MONAI 1.6.1 takes every page for a level, and slides have a thumbnail among their pages
        knows = backend != "tifffile" or (path.suffix.lower() in TIFFFILE_SUFFIXES and level == 0)
        if knows and importlib.util.find_spec(backend) is not None:
            return backend
    found = f"no library that reads level {level} of such whole-slide files"
    fix = "pip install openslide-python openslide-bin, or export the region as TIFF"
    raise UserError(path.name, found=found, expected="openslide or cucim to be installed", fix=fix)


def _spacing(reader: Any, slide: Any, level: int) -> tuple[float, float] | None:
    """The spacing (along a row, along a column) in mm, or None where the file does not say it."""
    try:
        vertical, horizontal = reader.get_mpp(slide, level)
    except (ValueError, KeyError):
        return None
    if not 0 < max(vertical, horizontal) < COARSEST_MICROMETRES:
        return None
    return horizontal / 1000, vertical / 1000
