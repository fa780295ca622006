"""NIfTI files: the frames of a 2-D one, the values of a volume."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import numpy as np

from kdseg.data.formats.frame_source import FrameSource
from kdseg.data.formats.pictures import natural_limits
from kdseg.errors import UserError

__all__ = ["open_nifti", "read_nifti"]


def open_nifti(path: Path) -> FrameSource:
    """Open a NIfTI file of one picture ``(W, H)`` or several, ``(W, H, frames)`` or ``(W, H, 1, frames)``.

    Axes and affine are kept as stored. nibabel is used directly, because MONAI's NibabelReader copies the header's free
    text (``descrip``, ``db_name``) into the meta data, where a patient's name may be. The spacing counts as unknown
    when it is exactly 1 × 1, which is what programs write that do not know it.

    Raises:
        UserError: when the array is not a picture or a series of pictures.
    """
    import nibabel

    image = nibabel.load(path)
    array = np.asanyarray(image.dataobj)  # type: ignore[attr-defined]
    if array.ndim == 4 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or 0 in array.shape:
        raise UserError(
            path.name,
            found=f"an array of shape {'×'.join(map(str, image.shape))}",  # type: ignore[attr-defined]
            expected="one picture (W, H) or several, (W, H, frames) or (W, H, 1, frames)",
            fix="save the pictures as 2-D NIfTI files",
        )
    affine = np.asarray(image.affine, dtype=np.float64)  # type: ignore[attr-defined]
    spacing = np.linalg.norm(affine[:3, :2], axis=0)
    low, high = natural_limits([array])
    return FrameSource(
        read=lambda index: array[..., index],
        count=array.shape[2],
        low=low,
        high=high,
        file_format="nifti",
        affine=affine,
        spacing_known=not np.allclose(spacing, 1),
    )


def read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A NIfTI file as float32 ``(W, H, D[, C])`` and its affine, 4×4 in RAS axes.

    nibabel is used directly, because MONAI's NibabelReader copies the header's free text (``descrip``, ``db_name``)
    into the meta data, where a patient's name may be.

    Raises:
        UserError: when the file is missing, damaged, or has no two to four axes.
    """
    import nibabel

    if not path.is_file():
        raise UserError(path.name, found="no such file", expected="a NIfTI file", fix="check the path")
    try:
        # what is odd about a header goes to nibabel's log, beside the error that it raises
        nibabel.imageglobals.logger.setLevel(logging.CRITICAL + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = nibabel.load(path)
            array = np.asarray(image.dataobj, dtype=np.float32)  # type: ignore[attr-defined]
            affine = np.asarray(image.affine, dtype=np.float64)  # type: ignore[attr-defined]
    except Exception as error:
        # damaged content raises whatever nibabel happens to run into
        reason = str(error).replace(str(path), path.name).split("\n")[0][:200]
        raise UserError(
            path.name,
            found=f"content that cannot be decoded ({type(error).__name__}: {reason})",
            expected="a whole NIfTI file",
            fix="copy or export the file again; it may be truncated or damaged",
        ) from error
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if not 2 <= array.ndim <= 4 or 0 in array.shape or not np.isfinite(affine).all():
        raise UserError(
            path.name,
            found=f"an array of shape {'×'.join(map(str, array.shape))}",
            expected="a picture or volume, perhaps with channels on the fourth axis, and a finite affine",
            fix="save the volume as a 3-D NIfTI file",
        )
    return array, affine
