"""Frames of a 2-D NIfTI file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kdseg.data.frame_source import FrameSource
from kdseg.data.picture_frames import natural_limits
from kdseg.errors import UserError

__all__ = ["open_nifti"]


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
