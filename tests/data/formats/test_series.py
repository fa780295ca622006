"""Series are divided, sorted and measured by their positions, and refused or resampled where they are no even grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import RLELossless, generate_uid

from kdseg.data import choose_series, dicom_series, dicom_studies
from kdseg.errors import UserError
from tests.data.make_series import AXIAL, SECRET, oblique, straight, values, write_enhanced, write_series


def only(folder: Path):
    volumes = dicom_series(folder)
    assert len(volumes) == 1
    return volumes[0]


def affine_of(positions: np.ndarray, directions, pixel_spacing=(0.8, 0.7)) -> np.ndarray:
    """The affine in RAS axes by its definition: where the first pixel and its three neighbours lie."""
    affine = np.eye(4)
    affine[:3, 0] = np.asarray(directions[0]) * pixel_spacing[0]
    affine[:3, 1] = np.asarray(directions[1]) * pixel_spacing[1]
    affine[:3, 2] = positions[1] - positions[0]
    affine[:3, 3] = positions[0]
    return np.diag([-1.0, -1, 1, 1]) @ affine


@pytest.mark.parametrize(
    "directions", [AXIAL, oblique(), ((0, 1, 0), (0, 0, -1))], ids=["axial", "oblique", "sagittal"]
)
def test_slices_are_sorted_by_position_and_lie_where_the_header_says(tmp_path, directions) -> None:
    volume, positions = values(), straight(4, directions=directions)
    write_series(tmp_path, volume, positions, directions)
    found = only(tmp_path)
    assert found.refusal is None
    assert found.spacing == pytest.approx((0.8, 0.7, 3.0), abs=1e-5)  # not the thickness of 2.5
    np.testing.assert_allclose(found.affine, affine_of(positions, directions), atol=1e-5)
    np.testing.assert_array_equal(found.read(), volume)


def test_each_slice_has_its_own_rescale(tmp_path) -> None:
    volume = values()
    each = [{"RescaleSlope": index + 0.5, "RescaleIntercept": -index} for index in range(4)]
    write_series(tmp_path, volume, straight(4), each=each)
    np.testing.assert_allclose(only(tmp_path).read(), volume * (np.arange(4) + 0.5) - np.arange(4))


def test_empty_rescale_elements_change_nothing(tmp_path) -> None:
    volume = values()
    write_series(tmp_path, volume, straight(4), RescaleSlope=None, RescaleIntercept=None)
    np.testing.assert_array_equal(only(tmp_path).read(), volume)


@pytest.mark.parametrize(("modality", "inverted"), [("MR", True), ("CT", False)])
def test_monochrome1_is_inverted_unless_values_are_units(tmp_path, modality: str, inverted: bool) -> None:
    volume = values()
    write_series(tmp_path, volume, straight(4), Modality=modality, PhotometricInterpretation="MONOCHROME1")
    # signed 16 bits: -32768 … 32767 turned round
    np.testing.assert_array_equal(only(tmp_path).read(), -1 - volume if inverted else volume)


def test_compressed_slices(tmp_path) -> None:
    volume = values()
    write_series(tmp_path, volume, straight(4), compress=RLELossless)
    np.testing.assert_array_equal(only(tmp_path).read(), volume)


def test_enhanced_file_goes_by_its_functional_groups(tmp_path) -> None:
    volume, positions = values(), straight(4)
    write_enhanced(tmp_path / "enhanced.dcm", volume, positions, slopes=[1, 2, 3, 4])
    found = only(tmp_path)
    assert found.spacing == pytest.approx((0.8, 0.7, 3.0))  # the thickness says 9
    np.testing.assert_allclose(found.affine, affine_of(positions, AXIAL))
    np.testing.assert_allclose(found.read(), volume * np.array([1, 2, 3, 4]) + 1)


def test_enhanced_file_of_two_echoes_is_two_volumes(tmp_path) -> None:
    volume = values((6, 5, 8))
    positions = np.repeat(straight(4), 2, axis=0)
    path = write_enhanced(tmp_path / "enhanced.dcm", volume, positions, slopes=[1] * 8, echoes=[10.0, 20.0] * 4)
    volumes = dicom_series(path)
    assert sorted(volume.part for volume in volumes) == ["echo time 10.0", "echo time 20.0"]
    np.testing.assert_array_equal(choose_series(volumes, part="time 20").read(), volume[..., 1::2] + 1)


def test_rounded_positions_are_even(tmp_path) -> None:
    positions = straight(40, step=0.625).round(1)
    write_series(tmp_path, values((3, 3, 40)), positions)
    found = only(tmp_path)
    assert found.refusal is None and found.spacing[2] == pytest.approx(0.625, abs=2e-3)


@pytest.mark.parametrize("place", [1, 7, 13])
def test_missing_slice_is_refused_or_interpolated(tmp_path, place: int) -> None:
    ramp = np.broadcast_to(np.arange(15, dtype=np.int16) * 10, (4, 3, 15))
    kept = np.delete(np.arange(15), place)
    write_series(tmp_path, ramp[..., kept], straight(15)[kept])
    found = only(tmp_path)
    assert "1 slice missing" in str(found.refusal) and f"after slice {place} of 14" in str(found.refusal)
    with pytest.raises(UserError, match="1 slice missing"):
        found.read()
    assert found.shape == (4, 3, 15)
    np.testing.assert_allclose(found.read(uneven="resample"), ramp)


def test_one_gap_between_two_is_a_missing_slice(tmp_path) -> None:
    write_series(tmp_path, values((6, 5, 3)), straight(4)[[0, 1, 3]])
    found = only(tmp_path)
    assert found.refusal == "1 slice missing, the first after slice 2 of 3" and found.shape == (6, 5, 4)


def test_uneven_spacing_is_refused_or_resampled_to_where_it_was(tmp_path) -> None:
    depths = np.array([0.0, 2, 4, 6.8, 8.8, 10.8])
    positions = np.array([-10.0, 20, 30]) + np.outer(depths, [0, 0, 1])
    write_series(tmp_path, np.broadcast_to((depths * 10).astype(np.int16), (4, 3, 6)), positions)
    found = only(tmp_path)
    assert "uneven spacing: slices 2 to 2.8 mm apart" in str(found.refusal)
    resampled = found.read(uneven="resample")
    assert resampled.shape == found.shape == (4, 3, 6)
    np.testing.assert_allclose(resampled[0, 0], np.arange(6) * found.spacing[2] * 10, atol=1e-3)


@pytest.mark.parametrize("lean", [0.9, -0.9], ids=["up", "down"])
def test_gantry_tilt_is_refused_or_sheared_back(tmp_path, lean: float) -> None:
    """The values are a function of the position in the world, so the sheared volume must be the same function."""
    spacing, count = (0.8, 0.7), 6
    positions = straight(count) + np.outer(np.arange(count) * lean, [0, 1, 0])

    def brightness(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        return 500 + 4 * x + 10 * y + 5 * z

    i, j = np.meshgrid(np.arange(8), np.arange(20), indexing="ij")
    slices = [brightness(place[0] + i * spacing[0], place[1] + j * spacing[1], place[2] + 0 * i) for place in positions]
    volume = np.stack(slices, axis=-1)
    write_series(tmp_path, (volume * 10).round().astype(np.int16), positions, RescaleSlope=0.1, RescaleIntercept=0)
    found = only(tmp_path)
    assert "gantry tilt: the slices lean by 16.7 degrees" in str(found.refusal)
    with pytest.raises(UserError, match="resample"):
        found.read()
    straightened = found.read(uneven="resample")
    assert straightened.shape == found.shape and found.shape[1] > 20
    grid = np.stack(np.meshgrid(*map(np.arange, found.shape), indexing="ij"), axis=-1)
    right_anterior_head = grid @ found.affine[:3, :3].T + found.affine[:3, 3]
    expected = brightness(-right_anterior_head[..., 0], -right_anterior_head[..., 1], right_anterior_head[..., 2])
    covered = straightened > straightened.min()
    assert covered.mean() > 0.6
    np.testing.assert_allclose(straightened[covered], expected[covered], atol=0.2)


def test_two_acquisitions_of_one_stretch_are_two_volumes(tmp_path) -> None:
    series = generate_uid()
    first, second = values(seed=1), values(seed=2)
    write_series(tmp_path / "a", first, straight(4), series=series, study="1.2", AcquisitionNumber=1)
    # half a slice further: no position is there twice, and yet it is no volume of eight slices
    shifted = straight(4) + np.array([0, 0, 1.5])
    write_series(tmp_path / "b", second, shifted, series=series, study="1.2", AcquisitionNumber=2)
    volumes = dicom_series(tmp_path)
    assert [volume.part for volume in volumes] == ["acquisition 1", "acquisition 2"]
    assert all(volume.refusal is None for volume in volumes)
    np.testing.assert_array_equal(choose_series(volumes, part="acquisition 2").read(), second)


def test_acquisitions_one_after_the_other_are_one_volume(tmp_path) -> None:
    volume = values()
    write_series(tmp_path, volume, straight(4), each=[{"AcquisitionNumber": index} for index in (1, 1, 2, 2)])
    np.testing.assert_array_equal(only(tmp_path).read(), volume)


def test_acquisitions_between_each_other_are_one_volume(tmp_path) -> None:
    """Concatenations of an MRI: odd slices first, then even ones, each 2.5 mm thick and 3 mm from the next."""
    volume = values((6, 5, 7))
    write_series(tmp_path, volume, straight(7), each=[{"AcquisitionNumber": index % 2 + 1} for index in range(7)])
    np.testing.assert_array_equal(only(tmp_path).read(), volume)


@pytest.mark.parametrize(
    ("keyword", "told"),
    [
        ({"EchoTime": 10}, {"EchoTime": 20}),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "WATER"]}, {"ImageType": ["ORIGINAL", "PRIMARY", "FAT"]}),
    ],
    ids=["echo time", "image type"],
)
def test_slices_at_one_position_are_divided_by_what_differs(tmp_path, keyword, told, request) -> None:
    for name, elements in (("a", keyword), ("b", told)):
        write_series(tmp_path / name, values(), straight(4), series="1.2.3", study="1.2", Modality="MR", **elements)
    volumes = dicom_series(tmp_path)
    assert len(volumes) == 2 and all(volume.refusal is None for volume in volumes)
    assert all(volume.part.startswith(request.node.callspec.id) for volume in volumes)


def test_slices_at_one_position_that_nothing_tells_apart_are_refused(tmp_path) -> None:
    for name in "ab":
        write_series(tmp_path / name, values(), straight(4), series="1.2.3", study="1.2")
    found = only(tmp_path)
    assert "several slices at one position" in str(found.refusal)
    with pytest.raises(UserError, match="leave it out"):
        found.read(uneven="resample")


def test_a_file_that_occurs_twice_counts_once(tmp_path) -> None:
    volume = values()
    paths = write_series(tmp_path, volume, straight(4))
    copy = tmp_path / "copy.dcm"
    copy.write_bytes(paths[2].read_bytes())
    found = only(tmp_path)
    assert found.copies == 1
    np.testing.assert_array_equal(found.read(), volume)
    # the copy may be named as well: it stands for the same volume
    np.testing.assert_array_equal(only(copy).read(), volume)


def test_mixed_orientation_is_refused_with_what_is_there_until_one_is_chosen(tmp_path) -> None:
    sagittal = ((0, 1, 0), (0, 0, -1))
    write_series(tmp_path / "a", values(), straight(4), series="1.2.3", study="1.2", SeriesDescription="scout")
    second = values((6, 5, 2), seed=2)
    positions = straight(2, directions=sagittal)
    write_series(tmp_path / "b", second, positions, sagittal, series="1.2.3", study="1.2", SeriesDescription="scout")
    volumes = dicom_series(tmp_path)
    with pytest.raises(
        UserError, match=r"2 volumes; there are: 1\) CT 'scout', axial, 6×5×4; 2\) CT 'scout', sagittal"
    ):
        choose_series(volumes)
    assert choose_series(volumes, choose="largest").plane == "axial"
    np.testing.assert_array_equal(choose_series(volumes, plane="sagittal", description="SCO").read(), second)
    with pytest.raises(UserError, match="no volumes with modality 'MR'"):
        choose_series(volumes, modality="MR")


def test_one_file_stands_for_its_series(tmp_path) -> None:
    first, second = values(seed=1), values(seed=2)
    write_series(tmp_path, first, straight(4))
    path = write_series(tmp_path, second, straight(4))[0]
    np.testing.assert_array_equal(only(path).read(), second)


def test_truncated_pixels_are_an_error_not_a_black_part(tmp_path) -> None:
    path = write_series(tmp_path, values(), straight(4))[1]
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(UserError, match="pixels that cannot be decoded"):
        only(tmp_path).read()


def test_studies_name_nobody_and_list_bad_files(tmp_path) -> None:
    write_series(tmp_path / "one", values(), straight(4), SeriesDescription="t2")
    write_series(tmp_path / "two", values(), straight(4))
    (tmp_path / "bad.dcm").write_bytes(b"no DICOM")
    (tmp_path / "notes.txt").write_text("not looked at")
    studies, problems = dicom_studies(tmp_path)
    assert [len(study.series) for study in studies] == [1, 1]
    assert studies[0].patient == studies[1].patient and studies[0].study != studies[1].study
    assert [problem["file"] for problem in problems] == ["bad.dcm"]
    shown = f"{studies} {[study.series[0].summary() for study in studies]} {studies[0].series[0].title()}"
    assert SECRET not in shown and "t2" in shown


def test_a_folder_without_dicom_is_told(tmp_path) -> None:
    with pytest.raises(UserError, match="no DICOM file among 0 files"):
        dicom_studies(tmp_path)
    with pytest.raises(UserError, match="no such file or folder"):
        dicom_studies(tmp_path / "nowhere")
