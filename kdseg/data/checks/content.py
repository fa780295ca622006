"""What an image shows, whatever its file type: a hash to find copies of it, a thumbnail to find near ones."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["NEAR_COPY", "content_of_picture", "content_of_volume", "similarity", "thumbnail"]

# similarity of two frames of one view between which the heart has moved: 0.93 to 0.96 in angiograms that were looked
# at; of 260 angiograms of other patients no two are above 0.92
NEAR_COPY = 0.925
SIDE = 32
# of the picture on each side: collimators and captions, which pictures of one device have in common
MARGIN = 0.15


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


def thumbnail(picture: np.ndarray) -> np.ndarray:
    """Three small views of a picture ``(W, H)``, each of mean 0 and length 1, for :func:`similarity`.

    The whole picture; its middle, without what pictures of one device share at their borders; and the middle without
    its slow changes, which bodies have in common.
    """
    from scipy import ndimage

    edges = [round(size * MARGIN) for size in picture.shape]
    middle = picture[edges[0] : picture.shape[0] - edges[0], edges[1] : picture.shape[1] - edges[1]]
    whole, middle = _small(picture), _small(middle)
    views = np.stack([whole, middle, middle - ndimage.gaussian_filter(middle, SIDE / 3)]).reshape(3, -1)
    views -= views.mean(axis=1, keepdims=True)
    return views / np.maximum(np.linalg.norm(views, axis=1, keepdims=True), 1e-9)


def similarity(thumbnails: np.ndarray) -> np.ndarray:
    """The similarity of every two of N pictures, 1 for copies: ``NN``, the mean correlation of their views.

    Args:
        thumbnails: ``N3P``.
    """
    flat = thumbnails.reshape(len(thumbnails), -1)
    return flat @ flat.T / thumbnails.shape[1]


def _small(picture: np.ndarray) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.fromarray(picture.astype(np.float32)).resize((SIDE, SIDE), Image.Resampling.BOX), float)
