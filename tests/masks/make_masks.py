"""Masks of made-up series and cines, and what is in the files that were written of them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kdseg.data import dicom_series
from kdseg.masks import Maker, Mask
from tests.data.make_series import AXIAL, straight, write_series

LABELS = {"0": "background", "1": "liver", "2": "left_kidney", "3": "thing of mine"}
MAKER = Maker("organs", "kd", "0123456789abcdef")
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
CORONAL = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0))


def blobs(shape: Sequence[int], seed: int = 0) -> np.ndarray:
    """Class numbers 0 to 3 in boxes without any symmetry; the last slice is empty."""
    random = np.random.default_rng(seed)
    values = np.zeros(tuple(shape), np.uint8)
    for number in (1, 2, 3):
        low = [int(random.integers(0, max(1, size // 2))) for size in shape]
        box = tuple(slice(start, start + max(1, size // 3)) for start, size in zip(low, shape, strict=True))
        values[box] = number
    values[..., -1] = 0
    return values


def series_mask(folder: Path, directions: Any = AXIAL, shape: Sequence[int] = (9, 7, 5), **elements: Any) -> Mask:
    """A series that was just written, with a mask."""
    volume = np.random.default_rng(0).integers(0, 1000, tuple(shape)).astype(np.int16)
    write_series(folder, volume, straight(shape[2], directions=directions), directions, **elements)
    return mask_of_series(folder)


def mask_of_series(folder: Path, values: np.ndarray | None = None, labels: dict[str, str] | None = None) -> Mask:
    (series,) = dicom_series(folder)
    values = blobs(series.shape) if values is None else values
    return Mask(values[None], series.affine, labels or LABELS, [folder], "dicom", series=series.series, maker=MAKER)


def places(values: np.ndarray, affine: np.ndarray, number: int) -> set[tuple[float, ...]]:
    """Where the voxels of a class lie, in hundredths of a mm of RAS axes."""
    index = np.argwhere(values == number)
    world = index @ affine[:3, :3].T + affine[:3, 3]
    return {tuple(point) for point in np.rint(world * 100).astype(int).tolist()}


def checked(path: Path) -> None:
    """Errors that dciodvfy finds in a file, where it is installed."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy (Debian's dicom3tools) is not installed")
    done = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
    errors = [line for line in (done.stderr + done.stdout).splitlines() if line.startswith("Error")]
    assert not errors
