"""Folders of mask pictures beside a DICOM series, one for each slice, made a label map."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kdseg.data.formats.dicom.series import DicomSeries
from kdseg.data.frames.mask_reader import mask_values
from kdseg.data.frames.open_frames import open_frames
from kdseg.data.open import decoding, natural_order
from kdseg.errors import UserError
from kdseg.files import whole_file

__all__ = ["find_stacks", "stack_as_label"]


def find_stacks(pictures: Sequence[Path]) -> list[list[Path]]:
    """Pictures by their folders, each in the order of its names."""
    folders: dict[Path, list[Path]] = {}
    for path in pictures:
        folders.setdefault(path.parent, []).append(path)
    return [sorted(paths, key=natural_order) for paths in folders.values()]


def stack_as_label(pictures: Sequence[Path], volume: DicomSeries, path: Path) -> Path:
    """Write the pictures as a NIfTI label map on the grid of a series.

    The first picture belongs to the first slice: in the order of the files' names where that order runs straight
    through the body, as exports have it; else from the lowest position up. Values are kept, but for black and white,
    which become 0 and 1.

    Args:
        pictures: one for each slice, in order.
        volume: the series.
        path: the NIfTI file to write.

    Raises:
        UserError: when there are more or fewer pictures than slices, of another size, or one cannot be decoded.
    """
    import nibabel

    width, height, depth = volume.shape
    where = pictures[0].parent.name
    if len(pictures) != depth:
        found = f"{len(pictures)} mask pictures for {depth} slices"
        fix = "add empty masks for the slices without a label, or bring the label as NIfTI"
        raise UserError(where, found=found, expected="one for each slice", fix=fix)
    slices = []
    for picture in pictures:
        with decoding(picture.name, "a mask that cannot be decoded", "a picture"):
            slices.append(mask_values(open_frames(picture, indices=True), 0))
    sizes = {mask.shape for mask in slices} - {(width, height)}
    if sizes:
        found = f"mask pictures of {'×'.join(map(str, sizes.pop()))} pixels"
        fix = "export the masks at the size of the slices"
        raise UserError(where, found=found, expected=f"slices of {width}×{height}", fix=fix)
    label = np.stack(slices, axis=-1)
    if set(np.unique(label)) <= {0, 255}:
        label = label / 255
    frames = volume.stack.frames
    by_name = sorted(range(depth), key=lambda place: (natural_order(frames[place].path), frames[place].index))
    if by_name == list(range(depth))[::-1]:
        label = label[..., ::-1]
    with whole_file(path) as temporary:
        nibabel.save(nibabel.Nifti1Image(label.astype(np.int16), volume.affine), temporary)
    return path
