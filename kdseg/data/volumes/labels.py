"""Labels of a volume, from NIfTI, DICOM SEG or RTSTRUCT, put on the image's grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kdseg.data.formats.dicom.contours import fill_contours
from kdseg.data.formats.dicom.label_header import read_label_header
from kdseg.data.formats.dicom.segmentation import read_segmentation
from kdseg.data.formats.nifti import read_nifti
from kdseg.data.open import NIFTI_SUFFIXES
from kdseg.errors import UserError

__all__ = ["box_corners", "on_grid", "read_label", "same_grid"]

# of a voxel: how far the corners of two grids may be apart that count as one
SAME_GRID = 0.05
# how far a number may be off an integer that stands for a class
WHOLE = 1e-3


def read_label(
    path: str | Path,
    affine: np.ndarray,
    shape: Sequence[int],
    names: Mapping[str, int] | None = None,
    absent: str = "refuse",
    series: str = "",
    frame_of_reference: str = "",
) -> np.ndarray:
    """The label map of an image as int16 ``(W, H, D)`` on the image's grid.

    NIfTI and SEG files on another grid are resampled by the nearest voxel, by their positions in the world; what they
    do not cover is background. Contours of an RTSTRUCT are filled.

    Args:
        path: a NIfTI, DICOM SEG or RTSTRUCT file.
        affine: of the image, 4×4, index to mm in RAS axes.
        shape: of the image: columns, rows, slices.
        names: for SEG and RTSTRUCT: structure's name to value, see
            :func:`kdseg.data.formats.dicom.structures.values_to_paint`; None takes each structure's number.
        absent: for SEG and RTSTRUCT: "refuse" a file that lacks a structure of ``names``, or leave it "empty".
        series, frame_of_reference: pseudonyms of the image's, as ``VolumeReader`` gives them in the meta data. A
            SEG or RTSTRUCT file has to refer to this series, or to share its frame of reference, as far as both are
            known.

    Raises:
        UserError: when the file cannot be read, holds no class numbers, was drawn in another frame of reference, or
            lies outside the image.

    Example:
        >>> import tempfile, nibabel
        >>> path = Path(tempfile.mkdtemp()) / "label.nii.gz"
        >>> flipped = np.diag([-1.0, 1, 1, 1]); flipped[0, 3] = 3
        >>> nibabel.save(nibabel.Nifti1Image(np.arange(4, dtype=np.uint8).reshape(4, 1, 1), flipped), path)
        >>> read_label(path, np.eye(4), (4, 1, 1)).ravel().tolist()
        [3, 2, 1, 0]
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(path.name, found="no such file", expected="a label file", fix="check the path")
    if path.name.lower().endswith(NIFTI_SUFFIXES):
        values, own = read_nifti(path)
        return on_grid(_classes(values, path.name), own, affine, shape, path.name)
    header = read_label_header(path)
    # some tools write a new frame of reference into each file; the series that they refer to is right all the same
    elsewhere = frame_of_reference and header.spaces and frame_of_reference not in header.spaces
    if elsewhere and series not in header.references:
        expected = "labels drawn on this image, or on one of the same frame of reference"
        fix = "take the series that the labels were drawn on, or register and resample them first"
        raise UserError(path.name, found="another frame of reference than the image's", expected=expected, fix=fix)
    if header.kind == "RTSTRUCT":
        return fill_contours(path, affine, shape, names, absent)
    label, own = read_segmentation(path, names, absent)
    return on_grid(label, own, affine, shape, path.name)


def same_grid(first: np.ndarray, second: np.ndarray, shape: Sequence[int]) -> bool:
    """Whether two affines put every voxel of a volume of ``shape`` at the same place, to a twentieth of a voxel."""
    corners = box_corners(shape).T
    return bool(np.abs(np.linalg.solve(second, first) @ corners - corners).max() <= SAME_GRID)


def box_corners(shape: Sequence[int]) -> np.ndarray:
    """The indices of a volume's eight outermost voxels, with a 1 behind each as affines want it: ``(8, 4)``."""
    return np.array([[*corner, 1] for corner in np.ndindex(2, 2, 2)]) * [*(np.asarray(shape) - 1), 1]


def on_grid(
    label: np.ndarray, own: np.ndarray, affine: np.ndarray, shape: Sequence[int], name: str = "label"
) -> np.ndarray:
    """``label`` with affine ``own``, on the grid of ``affine`` and ``shape``, by the nearest voxel.

    MONAI's SpatialResample gives the same, in 9 times the time, and holds a position of 24 bytes for every voxel.

    Raises:
        UserError: when the two do not overlap in the world.
    """
    shape = tuple(int(size) for size in shape)
    matrix = np.linalg.solve(own, affine)
    weights = np.abs(matrix[:3, :3])
    source = weights.argmax(axis=1)
    # each index of the label depends on one index of the image: no need to look up every voxel by itself
    aligned = len(set(source)) == 3 and np.sort(weights, axis=1)[:, :2].max() * max(shape) < SAME_GRID
    reached = (matrix @ box_corners(shape).T)[:3]
    if (reached.max(axis=1) < -0.5).any() or (reached.min(axis=1) > np.array(label.shape) - 0.5).any():
        found = "a label that lies outside its image"
        fix = "check that label and image belong together, and their affines"
        raise UserError(name, found=found, expected="a label at the image's place in the world", fix=fix)
    if aligned:
        result = np.zeros([shape[axis] for axis in source], dtype=label.dtype)
        indices, inside = [], []
        for axis, target in enumerate(source):
            index = np.rint(matrix[axis, target] * np.arange(shape[target]) + matrix[axis, 3]).astype(int)
            inside.append(np.flatnonzero((index >= 0) & (index < label.shape[axis])))
            indices.append(index[inside[-1]])
        result[np.ix_(*inside)] = label[np.ix_(*indices)]
        return np.ascontiguousarray(result.transpose(np.argsort(source)))
    from scipy import ndimage

    # grid-constant: the outer half of the border voxels belongs to them
    return ndimage.affine_transform(
        label, matrix[:3, :3], matrix[:3, 3], output_shape=shape, order=0, mode="grid-constant", cval=0
    )


def _classes(values: np.ndarray, name: str) -> np.ndarray:
    whole = np.rint(values)
    if values.ndim != 3 or not np.isfinite(values).all() or np.abs(values - whole).max() > WHOLE:
        found = f"{values.ndim} axes" if values.ndim != 3 else "values that are no whole numbers"
        raise UserError(name, found=found, expected="class numbers of a volume", fix="save the label as integers")
    if np.abs(whole).max() > np.iinfo(np.int16).max:
        found = f"the value {whole.max():g}"
        raise UserError(name, found=found, expected="class numbers below 32768", fix="number the classes anew")
    return whole.astype(np.int16)
