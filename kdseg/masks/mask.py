"""A mask with all that its file has to say: what it was made from, and what made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kdseg.errors import UserError

__all__ = ["Maker", "Mask", "mask_of"]


@dataclass(frozen=True)
class Maker:
    """What made a mask.

    Attributes:
        task: name of the task.
        method: how the network was trained, such as "kd"; empty where that is not known.
        student: hash of its weights and its task, by which its masks are known again.
    """

    task: str = ""
    method: str = ""
    student: str = ""


@dataclass(frozen=True)
class Mask:
    """Class numbers on the grid of an image.

    Args:
        values: uint8, ``(F, W, H)`` of the frames of a picture or ``(1, W, H, D)`` of a volume.
        affine: of the image, 4×4, index to mm in RAS axes.
        labels: number → name of the classes, "0" among them.
        files: what the image was read from: one file, its folder, or its files.
        file_format: "dicom", "nifti" or "picture".
        frame: number of the only frame in the file, from 0; -1 where the values are of all frames.
        series: pseudonym of the DICOM series, as the reader gives it.
        maker: what made it.
        shape: the size of the file's image, ``(W, H)`` or ``(W, H, D)``.

    Raises:
        UserError: when the values are no class numbers, or not of the image's size.

    Example:
        >>> mask = Mask(np.ones((1, 4, 3, 2)), np.diag([10, 10, 5, 1]), {"0": "background", "1": "liver"}, ["a.nii"])
        >>> mask.values.dtype.name, mask.millilitres()
        ('uint8', {'liver': 12.0})
    """

    values: np.ndarray = field(repr=False)
    affine: np.ndarray = field(repr=False)
    labels: Mapping[str, str]
    files: Sequence[str | Path]
    file_format: str = "nifti"
    frame: int = -1
    series: str = ""
    maker: Maker = Maker()
    shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        values, greatest = np.asarray(self.values), max(map(int, self.labels))
        size = tuple(self.shape) if self.shape is not None else values.shape[1:]
        if values.shape[1:] != size:
            raise UserError(
                self.source.name,
                found=f"a mask of size {'×'.join(map(str, values.shape[1:]))}",
                expected=f"the size of the file, {'×'.join(map(str, size))}",
                fix="invert the spatial transforms before saving (Invertd)",
            )
        # not np.isin, which sorts the whole volume
        whole = values.dtype.kind in "bu" or (values == np.rint(values)).all()
        if values.min() < 0 or values.max() > greatest or not whole:
            raise UserError(
                self.source.name,
                found=f"values from {values.min():g} to {values.max():g}",
                expected=f"whole numbers from 0 to {greatest}",
                fix="turn probabilities into classes before saving (AsDiscreted)",
            )
        object.__setattr__(self, "values", values.astype(np.uint8, copy=False))
        object.__setattr__(self, "affine", np.asarray(self.affine, dtype=np.float64))

    @property
    def source(self) -> Path:
        """The file or folder that names the image."""
        return Path(self.files[0])

    @property
    def is_volume(self) -> bool:
        return self.values.ndim == 4

    @property
    def classes(self) -> dict[int, str]:
        """Number → name, without the background, in the order of the numbers."""
        return {number: self.labels[str(number)] for number in sorted(map(int, self.labels)) if number}

    def millilitres(self) -> dict[str, float]:
        """Volume of each class of a volume; empty for pictures."""
        if not self.is_volume:
            return {}
        counts = np.bincount(self.values.ravel(), minlength=max(map(int, self.labels)) + 1)
        voxel = abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000
        return {name: round(float(counts[number]) * voxel, 3) for number, name in self.classes.items()}


def mask_of(
    values: np.ndarray,
    meta: Mapping[str, Any],
    labels: Mapping[str, str],
    files: Sequence[str | Path] = (),
    maker: Maker | None = None,
) -> Mask:
    """The mask with what its image's meta data say, for the writers of this room.

    Args:
        values: class numbers ``(C, W, H[, D])``.
        meta: of the image, as kdseg's readers give them.
        labels: number → name of the classes.
        files: what the image was read from, where that is more than the file that the meta data name.
        maker: what made it.

    Raises:
        UserError: as :class:`Mask`.
    """
    frame = meta.get("frame")
    return Mask(
        values,
        np.asarray(meta["original_affine"]),
        labels,
        [str(path) for path in files] or [str(meta["filename_or_obj"])],
        str(meta["file_format"]),
        -1 if frame is None else int(frame),
        str(meta.get("series") or ""),
        maker or Maker(),
        tuple(int(size) for size in meta["spatial_shape"]),
    )
