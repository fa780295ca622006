"""Structure sets: filled again, their contours are the mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from kdseg.data import dicom_series, read_label
from kdseg.errors import UserError
from kdseg.masks import Mask, OutputNames, is_marked, save_mask
from tests.data.make_series import oblique
from tests.masks.make_masks import AXIAL, CORONAL, checked, mask_of_series, series_mask


def written(mask: Mask, folder: Path) -> Path:
    (path,), _ = save_mask(mask, OutputNames(folder), ["rtstruct"])
    return path


@pytest.mark.parametrize("directions", [AXIAL, CORONAL, oblique()], ids=["axial", "coronal", "oblique"])
def test_filled_again_they_are_the_mask(directions: object, tmp_path: Path) -> None:
    mask = series_mask(tmp_path / "series", directions, shape=(24, 20, 5))
    values = mask.values[0].copy()
    # a hole, a single voxel, two that touch at a corner, and what touches the edge
    values[4:9, 4:9, 1], values[6, 6, 1] = 1, 0
    values[20, 3, 2] = values[15, 10, 2] = values[16, 11, 2] = 1
    values[0:3, :, 3] = 2
    mask = mask_of_series(tmp_path / "series", values)
    path = written(mask, tmp_path)
    assert path.name == "series_contours.dcm" and is_marked(path)
    names = {name: number for number, name in mask.classes.items()}
    assert np.array_equal(read_label(path, mask.affine, values.shape, names, absent="empty"), values)


def test_each_contour_is_closed_and_refers_to_its_slice(tmp_path: Path) -> None:
    mask = series_mask(tmp_path / "series")
    dataset = pydicom.dcmread(written(mask, tmp_path))
    (series,) = dicom_series(tmp_path / "series")
    uids = {pydicom.dcmread(file).SOPInstanceUID: file for file in series.files}
    assert [item.ROIName for item in dataset.StructureSetROISequence] == list(mask.classes.values())
    for region in dataset.ROIContourSequence:
        for contour in region.ContourSequence:
            points = np.array(contour.ContourData, float).reshape(-1, 3)
            assert contour.ContourGeometricType == "CLOSED_PLANAR" and len(points) == contour.NumberOfContourPoints > 2
            assert not np.array_equal(points[0], points[-1])
            file = uids[contour.ContourImageSequence[0].ReferencedSOPInstanceUID]
            assert np.allclose(points[:, 2], pydicom.dcmread(file).ImagePositionPatient[2], atol=1e-2)


def test_a_class_that_was_not_found_has_no_contour(tmp_path: Path) -> None:
    series_mask(tmp_path / "series")
    mask = mask_of_series(tmp_path / "series", np.zeros((9, 7, 5), np.uint8))
    dataset = pydicom.dcmread(written(mask, tmp_path))
    assert len(dataset.ROIContourSequence) == 3
    assert not any("ContourSequence" in region for region in dataset.ROIContourSequence)


def test_a_series_that_was_resampled_is_refused(tmp_path: Path) -> None:
    series_mask(tmp_path / "series", shape=(9, 7, 6))
    (series,) = dicom_series(tmp_path / "series")
    series.files[2].unlink()
    with pytest.raises(UserError, match=r"missing.*--format nifti"):
        written(mask_of_series(tmp_path / "series"), tmp_path)


def test_dciodvfy_finds_no_error(tmp_path: Path) -> None:
    checked(written(series_mask(tmp_path / "series"), tmp_path / "out"))
