"""NIfTI files: the frames of a 2-D one, the values of a volume."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from kdseg.data.formats.frame_source import FrameSource
from kdseg.data.formats.pictures import natural_limits
from kdseg.data.open import decoding
from kdseg.errors import UserError

__all__ = ["open_nifti", "read_nifti"]

# deflate makes nothing smaller than this part
DEFLATE = 1032
# mm: no scanner's voxels are smaller or larger
SPACINGS = 1e-5, 1e3
# code in the header → mm; most programs write mm or nothing
UNITS = {1: 1000.0, 3: 0.001}


def open_nifti(path: Path) -> FrameSource:
    """Open a NIfTI file of one picture ``(W, H)`` or several, ``(W, H, frames)`` or ``(W, H, 1, frames)``.

    Axes are kept as stored. The spacing counts as unknown when it is exactly 1 × 1, which is what programs write that
    do not know it.

    Raises:
        UserError: as :func:`read_nifti`, and when the array is not a picture or a series of pictures.
    """
    image = _opened(path)
    array = np.asanyarray(image.dataobj)
    if array.ndim == 4 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or 0 in array.shape:
        found = f"an array of shape {'×'.join(map(str, image.shape))}"
        expected = "one picture (W, H) or several, (W, H, frames) or (W, H, 1, frames)"
        raise UserError(path.name, found=found, expected=expected, fix="save the pictures as 2-D NIfTI files")
    affine = _affine(image, path)
    low, high = natural_limits([array])
    return FrameSource(
        read=lambda index: array[..., index],
        count=array.shape[2],
        low=low,
        high=high,
        file_format="nifti",
        affine=affine,
        spacing_known=not np.allclose(np.linalg.norm(affine[:3, :2], axis=0), 1),
    )


def read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A NIfTI file as float32 ``(W, H, D[, C])`` and its affine, 4×4 in mm and RAS axes.

    nibabel is used directly, because MONAI's NibabelReader copies the header's free text (``descrip``, ``db_name``)
    into the meta data, where a patient's name may be.

    Raises:
        UserError: when the file is missing, damaged, smaller than its header claims, or has no two to four axes; when
            its scale is no number, or its affine is none that a scanner could write.
    """
    if not path.is_file():
        raise UserError(path.name, found="no such file", expected="a NIfTI file", fix="check the path")
    with decoding(path.name, "content that cannot be decoded", "a whole NIfTI file"):
        image = _opened(path)
        array = np.asarray(image.dataobj, dtype=np.float32)
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if not 2 <= array.ndim <= 4 or 0 in array.shape:
        found = f"an array of shape {'×'.join(map(str, array.shape))}"
        expected = "a picture or volume, perhaps with channels on the fourth axis"
        raise UserError(path.name, found=found, expected=expected, fix="save the volume as a 3-D NIfTI file")
    return array, _affine(image, path)


def _opened(path: Path) -> Any:
    """The image of nibabel, whose values are not read yet."""
    import nibabel

    # what is odd about a header goes to nibabel's log, beside the error that it raises
    nibabel.imageglobals.logger.setLevel(logging.CRITICAL + 1)
    image: Any = nibabel.load(path)
    claimed = int(np.prod([float(size) for size in image.shape])) * image.get_data_dtype().itemsize
    size = path.stat().st_size * (DEFLATE if path.name.lower().endswith(".gz") else 1)
    with nibabel.openers.ImageOpener(str(path)) as stream:
        # as stored: nibabel takes a scale that is no number for 1. A scale of 0 means none
        slope = float(type(image.header).from_fileobj(stream)["scl_slope"])
    if claimed > size:
        found, expected = f"a header that claims {'×'.join(map(str, image.shape))} values", "a file that holds them"
    elif not np.isfinite(slope):
        found, expected = f"values that are scaled by {slope:g}", "a number (scl_slope)"
    else:
        return image
    raise UserError(path.name, found=found, expected=expected, fix="copy or export the file again")


def _affine(image: Any, path: Path) -> np.ndarray:
    affine = np.asarray(image.affine, dtype=np.float64)
    affine[:3] *= UNITS.get(int(image.header["xyzt_units"]) & 7, 1.0)
    axes = affine[:3, : min(len(image.shape), 3)]
    lengths = np.linalg.norm(axes, axis=0)
    if (
        not np.isfinite(affine).all()
        or not ((lengths >= SPACINGS[0]) & (lengths <= SPACINGS[1])).all()
        or np.linalg.matrix_rank(axes / lengths) < axes.shape[1]
    ):
        found = f"an affine with voxels of {'×'.join(f'{length:.3g}' for length in lengths)} mm"
        expected = f"three directions that differ, and {SPACINGS[0]:g} to {SPACINGS[1]:g} mm along each"
        fix = "convert the image again from its source, or write the right affine into the header"
        raise UserError(path.name, found=found, expected=expected, fix=fix)
    return affine
