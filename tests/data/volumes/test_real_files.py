"""Real series: geometry and values against SimpleITK and reference conversions, labels against highdicom and masks."""

from __future__ import annotations

import re
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from kdseg.data import choose_series, dicom_series, dicom_studies, read_label
from kdseg.data.formats.nifti import read_nifti
from kdseg.errors import UserError

GOOD = [
    "abdomen_ct/dicom",
    "prostate_mri/dicom_0000",
    "dicom_seg/ct_3slice",
    "dicom_series/anatomical",
    "dicom_series/compressed_j2k",
    "dicom_series/compressed_jpeg",
    "dicom_series/compressed_jpegls",
    "dicom_series/compressed_rle",
    "dicom_series/failing/slicecount",
    "dicom_series/ge/001",
    "dicom_series/hitachi/anatomical/001",
    "dicom_series/hitachi/anatomical/001_implicit",
    "dicom_series/hyperfine/anatomical/001",
    "dicom_series/multiframe_enhanced",
    "dicom_series/non_isotropic",
]


@pytest.mark.parametrize("name", GOOD)
def test_affine_and_values_are_simpleitks(shared_data: Path, name: str) -> None:
    volume = choose_series(dicom_series(shared_data / name))
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(shared_data / name))
    image = SimpleITK.ReadImage(names if len(names) > 1 else names[0])
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    np.testing.assert_allclose(volume.affine, np.diag([-1, -1, 1, 1]) @ affine, atol=1e-6)
    np.testing.assert_allclose(volume.read(), SimpleITK.GetArrayFromImage(image).T, rtol=1e-6, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "conversion"),
    [
        ("prostate_mri/dicom_0000", "prostate_mri/0000_t2.nii.gz"),
        *(
            (f"dicom_series/{vendor}", f"dicom_series/{vendor}_ground_truth.nii.gz")
            for vendor in ("hitachi/anatomical/001", "hitachi/anatomical/001_implicit", "hyperfine/anatomical/001")
        ),
    ],
)
def test_every_voxel_is_where_a_reference_conversion_has_it(shared_data: Path, name: str, conversion: str) -> None:
    volume = choose_series(dicom_series(shared_data / name))
    converted = nibabel.load(shared_data / conversion)
    indices = np.indices(volume.shape).reshape(3, -1)
    matrix = np.linalg.solve(converted.affine, volume.affine)
    places = matrix[:3, :3] @ indices + matrix[:3, 3:]
    np.testing.assert_allclose(places, np.rint(places), atol=1e-3)
    expected = np.asarray(converted.dataobj)[tuple(np.rint(places).astype(int))]
    np.testing.assert_array_equal(volume.read()[tuple(indices)], expected)


def test_failing_series_are_refused_with_their_reason(shared_data: Path) -> None:
    refusals = {
        folder.name: choose_series(dicom_series(folder)).refusal
        for folder in (shared_data / "dicom_series" / "failing").iterdir()
    }
    assert refusals == {
        "gantrytilting": "gantry tilt: the slices lean by 14.0 degrees",
        "sliceincrement": "1 slice missing, the first after slice 3 of 4",
        # two slices only, but nothing in them contradicts their geometry
        "slicecount": None,
    }


def test_bad_files_are_told_apart_from_good_ones(shared_data: Path) -> None:
    told = {}
    for path in sorted((shared_data / "dicom_bad").iterdir()):
        try:
            assert choose_series(dicom_series(path)).read().std() > 0
            told[path.name] = "read"
        except UserError as error:
            told[path.name] = re.split(r"\(|\d", error.found)[0].strip()
    assert told == {
        "GH1146.dcm": "a header that claims",
        "GH1376.dcm": "a header that claims",
        "GH340.dcm": "no DICOM header",
        "MR_truncated.dcm": "pixels that cannot be decoded",
        "badVR.dcm": "a header that cannot be read",
        # its fault lies in a sequence that no picture needs
        "bad_sequence.dcm": "read",
        "emri_small_big_endian.dcm": "a file of several frames does not say where each of them lies",
        "meta_missing_tsyntax.dcm": "a DICOM file without an image",
        "no_meta.dcm": "no DICOM header",
        "rtstruct.dcm": "no DICOM header",
    }


def test_flipped_nifti_labels_fall_on_their_organs(shared_data: Path) -> None:
    """The label array is flipped against the series. Soft organs lie within 0 to 300 HU only if it is put right."""
    volume = choose_series(dicom_series(shared_data / "abdomen_ct" / "dicom"))
    path = shared_data / "abdomen_ct" / "dicom_labels.nii.gz"
    label, stored = read_label(path, volume.affine, volume.shape), read_nifti(path)[0]
    np.testing.assert_array_equal(np.bincount(label.ravel()), np.bincount(stored.astype(int).ravel()))
    values = volume.read()
    # the largest soft organ and the two kidneys of this series
    for organ in (5, 1):
        inside = values[label == organ]
        assert 0 < inside.mean() < 200 and (inside > -200).mean() > 0.98
        assert (values[stored == organ] > -200).mean() < (inside > -200).mean()


def test_real_segmentation_lies_on_its_organ(shared_data: Path) -> None:
    (study,) = [
        study
        for study in dicom_studies(shared_data / "dicom_seg")[0]
        if study.labels and "Liver" in study.labels[0].names
    ]
    volume, label = study.series[0], study.labels[0]
    mask = read_label(label.file, volume.affine, volume.shape, {"liver": 1}, series=volume.series)
    values = volume.read()[mask == 1]
    # the count of set bits in the file; liver tissue, but for its vessels and edges
    assert len(values) == 107098 and 0 < values.mean() < 100 and (values > -200).mean() > 0.98


def test_real_contours_are_filled_with_their_hole(shared_data: Path) -> None:
    volume = choose_series(dicom_series(shared_data / "dicom_seg" / "rtstruct"))
    path = shared_data / "dicom_seg" / "rtstruct" / "rt.dcm"
    # the file has a frame of reference of its own, but names the series
    mask = read_label(path, volume.affine, volume.shape, {"ROI-1": 1}, series=volume.series)
    # a square of 24 mm with an octagon of 8 by 8 mm cut at its corners, in one slice
    area = mask.sum(axis=(0, 1)) * volume.spacing[0] * volume.spacing[1]
    assert mask[..., 1].sum() == 0 and 24 * 24 * 0.4 < area[0] < 24 * 24


def test_pictures_without_a_place_are_refused(shared_data: Path) -> None:
    with pytest.raises(UserError, match="no position and no orientation"):
        choose_series(dicom_series(shared_data / "dicom_seg" / "dx_image.dcm")).read()
    with pytest.raises(UserError, match="not grey"):
        choose_series(dicom_series(shared_data / "dicom_seg" / "sm_image.dcm")).read()
