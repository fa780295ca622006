"""Tiny volumes with organs, as NIfTI and as DICOM series, that the bundles of volumes are tested with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
from pydicom.uid import generate_uid

from tests.data.make_series import straight, write_series

SIZE = (36, 32, 6)
SPACING = (0.8, 0.7, 3.0)
# of public sets by their number of organs: where an organ lies, so that right ones lie to the right of left ones
PLACES = {13: {9: 11, 11: 12, 12: 8, 13: 10}, 8: {3: 3, 4: 2}}


def organs(values: Sequence[int], number: int) -> tuple[np.ndarray, np.ndarray]:
    """A volume ``(W, H, D)`` in DICOM's order of axes, and its label map: a bright block for each value."""
    random = np.random.default_rng(number)
    image, label = random.normal(-60, 20, SIZE), np.zeros(SIZE, dtype=np.uint8)
    for index, value in enumerate(values):
        place = PLACES.get(len(values), {}).get(value, index)
        left, top = 3 + (place % 4) * 8, 3 + (place // 4) * 9
        block = (slice(left, left + 6), slice(top + number % 2, top + 6), slice(1, SIZE[2] - 1))
        image[block] += 60 + 20 * index
        label[block] = value
    return image.round().astype(np.int16), label


def affine() -> np.ndarray:
    """Of the volume as a NIfTI file: the same place in the world as the DICOM series."""
    matrix = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    matrix[:3, 3] = 10, -20, 30
    return matrix


def write_nifti(path: Path, array: np.ndarray, flipped: bool = False) -> Path:
    """``flipped``: stored from the other side, at the same place in the world."""
    path.parent.mkdir(parents=True, exist_ok=True)
    matrix = affine()
    if flipped:
        array = array[:, ::-1]
        matrix[:3, 3] += matrix[:3, 1] * (array.shape[1] - 1)
        matrix[:3, 1] *= -1
    nibabel.save(nibabel.Nifti1Image(array, matrix), path)
    return path


def write_dicom(folder: Path, array: np.ndarray, modality: str, patient: str) -> Path:
    # each patient is a study of its own
    write_series(
        folder,
        array,
        straight(array.shape[2], SPACING[2]),
        pixel_spacing=SPACING[:2],
        study=generate_uid(),
        Modality=modality,
        PatientID=patient,
        SeriesDescription="t2_tse_tra",
    )
    return folder
