"""What is no volume is refused with its reason, before a network sees it."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from kdseg.data import VolumeReader, dicom_series
from kdseg.errors import UserError


def nifti(folder: Path, array: np.ndarray) -> Path:
    path = folder / "file.nii.gz"
    nibabel.save(nibabel.Nifti1Image(array.astype(np.float32), np.eye(4)), path)
    return path


@pytest.mark.parametrize(("shape", "found"), [((4, 5), r"2 axes \(4×5\)"), ((4, 5, 3, 2), r"4 axes \(4×5×3×2\)")])
def test_pictures_and_time_series(tmp_path: Path, shape: tuple[int, ...], found: str) -> None:
    with pytest.raises(UserError, match=f"found {found}; expected a volume"):
        VolumeReader().get_data([nifti(tmp_path, np.ones(shape))])


def test_a_fourth_axis_of_one_is_none(tmp_path: Path) -> None:
    assert VolumeReader().get_data([nifti(tmp_path, np.ones((4, 5, 3, 1)))])[0].shape == (4, 5, 3)


def test_voxels_that_are_no_numbers(tmp_path: Path) -> None:
    volume = np.ones((4, 5, 2))
    volume[0, 0, 0] = np.nan
    with pytest.raises(UserError, match=r"values that are no numbers \(1 voxels\)"):
        VolumeReader().get_data([nifti(tmp_path, volume)])


def test_another_kind_of_file(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"picture")
    with pytest.raises(UserError, match=r"^picture.png: found a file that is not DICOM"):
        dicom_series(path)
