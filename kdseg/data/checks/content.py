"""A hash of what an image shows, whatever its file type, to find copies of it."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["content_of_picture", "content_of_volume"]


def content_of_picture(image: np.ndarray) -> str:
    """The hash of a picture with values in [0, 1], from files of 8 to 16 bits.

    Example:
        >>> content_of_picture(np.full((3, 2), 0.2)) == content_of_picture(np.full((3, 2), 0.2, dtype=np.float32))
        True
    """
    return _hash(np.round(image * 65535).astype(np.uint16))


def content_of_volume(volume: np.ndarray, affine: np.ndarray) -> str:
    """The hash of a volume's values, in the order in which its axes run to the right, anterior and head.

    So a DICOM series, its conversion to NIfTI and a copy stored flipped have one hash.

    Args:
        volume: ``(W, H, D)``.
        affine: 4×4, index to mm in RAS axes.

    Example:
        >>> volume, flipped = np.arange(6.0).reshape(3, 2, 1), np.diag([-1.0, 1, 1, 1])
        >>> content_of_volume(volume, np.eye(4)) == content_of_volume(volume[::-1], flipped)
        True
    """
    import nibabel

    return _hash(np.asarray(nibabel.apply_orientation(volume, nibabel.io_orientation(affine)), dtype=np.float32))


def _hash(values: np.ndarray) -> str:
    return hashlib.sha256(f"{values.shape}".encode() + np.ascontiguousarray(values).tobytes()).hexdigest()
