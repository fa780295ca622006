"""One level of a whole-slide file, through MONAI's WSIReader and whichever slide library is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from kdseg.data.frame_source import FrameSource
from kdseg.data.slide_frames import check_field_size
from kdseg.errors import UserError

__all__ = ["open_whole_slide"]

# the first that is installed and knows the file; tifffile comes with kdseg and knows slides that are TIFF files inside
BACKENDS = ("cucim", "openslide", "tifffile")
TIFFFILE_SUFFIXES = (".svs", ".tif", ".tiff")
# no slide scanner is that coarse: the resolution is a printer's
COARSEST_MICROMETRES = 40.0


def open_whole_slide(path: Path, level: int) -> FrameSource:
    """Read one level of a whole-slide file as one frame in colour.

    Args:
        path: of the file.
        level: 0 is full resolution.

    Raises:
        UserError: when no installed library can read it (what to install is told), when the level is not there, or
            when it is larger than :data:`kdseg.data.slide_frames.MOST_PIXELS`.
    """
    from monai.data.wsi_reader import WSIReader

    if not path.is_file():
        raise UserError(path.name, found="no such file", expected="a whole-slide file", fix="check the path")
    reader = WSIReader(_backend(path, level), level=level)
    slide = reader.read(path)
    levels = reader.get_level_count(slide)
    if not 0 <= level < levels:
        raise UserError(
            path.name,
            found=f"level {level}",
            expected=f"a level from 0 to {levels - 1}",
            fix="choose one of them; 0 is full resolution",
        )
    height, width = reader.get_size(slide, level)
    check_field_size(path.name, width, height)
    array, _ = reader.get_data(slide, level=level)
    spacing = _spacing(reader, slide, level)
    return FrameSource(
        read=lambda index: np.asarray(array).transpose(2, 1, 0),
        count=1,
        low=0.0,
        high=255.0,
        file_format="picture",
        affine=np.diag([*(spacing or (1.0, 1.0)), 1.0, 1.0]),
        spacing_known=spacing is not None,
    )


def _backend(path: Path, level: int) -> str:
    for backend in BACKENDS:
        # with tifffile MONAI 1.6.1 takes every page for a level, and slides have a thumbnail among their pages
        knows = backend != "tifffile" or (path.suffix.lower() in TIFFFILE_SUFFIXES and level == 0)
        if knows and importlib.util.find_spec(backend) is not None:
            return backend
    raise UserError(
        path.name,
        found=f"no library that reads level {level} of such whole-slide files",
        expected="openslide or cucim to be installed",
        fix="pip install openslide-python openslide-bin, or export the region as TIFF",
    )


def _spacing(reader: Any, slide: Any, level: int) -> tuple[float, float] | None:
    """The spacing (along a row, along a column) in mm, or None where the file does not say it."""
    try:
        vertical, horizontal = reader.get_mpp(slide, level)
    except (ValueError, KeyError):
        return None
    if not 0 < max(vertical, horizontal) < COARSEST_MICROMETRES:
        return None
    return horizontal / 1000, vertical / 1000
