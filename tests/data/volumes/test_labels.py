"""Labels from NIfTI, SEG and RTSTRUCT lie where they were drawn, on whatever grid the image has."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from monai.transforms import Compose, LoadImaged

from kdseg.data import dicom_series, dicom_studies, read_label
from kdseg.errors import UserError, user_error_in
from kdseg.transforms import LoadLabeld
from tests.data.make_series import AXIAL, oblique, straight, values, write_series, write_structures

SHAPE = (12, 10, 6)


def image(folder: Path, directions=AXIAL, **elements):
    """A written series of ``SHAPE`` and its volume."""
    paths = write_series(
        folder,
        values(SHAPE),
        straight(SHAPE[2], directions=directions),
        directions,
        series="1.2.3",
        study="1.2",
        space="1.2.9",
        **elements,
    )
    return paths, dicom_series(folder)[0]


def block(*bounds: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[tuple(slice(*bound) for bound in bounds)] = True
    return mask


LIVER, TUMOUR = block((2, 9), (1, 8), (1, 5)), block((4, 6), (3, 5), (2, 4))


def write_segmentation(path: Path, sources: list[Path], masks: dict[str, np.ndarray], kind: str = "BINARY") -> Path:
    """A SEG file by highdicom, an implementation of its own; in the planes of the sources, empty ones left out."""
    highdicom = pytest.importorskip("highdicom")
    from highdicom.sr.coding import CodedConcept

    datasets = sorted(
        (pydicom.dcmread(source) for source in sources),
        key=lambda dataset: (
            np.cross(*np.reshape(dataset.ImageOrientationPatient, (2, 3)).astype(float))
            @ np.array(dataset.ImagePositionPatient, dtype=float)
        ),
    )
    concept = CodedConcept("123037004", "SCT", "Anatomical Structure")
    segments = [
        highdicom.seg.SegmentDescription(number, name, concept, concept, "MANUAL")
        for number, name in enumerate(masks, 1)
    ]
    array = np.stack([mask.transpose(2, 1, 0) for mask in masks.values()], axis=-1)
    if kind == "LABELMAP":
        array = (array * np.arange(1, len(masks) + 1)).max(axis=-1).astype(np.uint8)
    highdicom.seg.Segmentation(
        source_images=datasets,
        pixel_array=array.astype(np.float32) if kind == "FRACTIONAL" else array.astype(np.uint8),
        segmentation_type=kind,
        segment_descriptions=segments,
        series_instance_uid="1.2.4",
        series_number=2,
        sop_instance_uid="1.2.4.1",
        instance_number=1,
        manufacturer="kdseg tests",
        manufacturer_model_name="tests",
        software_versions="1",
        device_serial_number="1",
        omit_empty_frames=True,
    ).save_as(path)
    return path


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL"])
@pytest.mark.parametrize("directions", [AXIAL, oblique()], ids=["axial", "oblique"])
def test_segments_lie_where_they_were_drawn(tmp_path, directions, kind: str) -> None:
    paths, volume = image(tmp_path / "ct", directions)
    path = write_segmentation(tmp_path / "seg.dcm", paths, {"Liver": LIVER, "Tumour": TUMOUR}, kind)
    label = read_label(path, volume.affine, volume.shape, {"liver": 1, "tumour": 2})
    np.testing.assert_array_equal(label, np.where(TUMOUR, 2, LIVER))


def test_fractions_count_from_half_of_the_maximum(tmp_path) -> None:
    paths, volume = image(tmp_path / "ct")
    fractions = LIVER * 0.4 + TUMOUR * 0.2
    path = write_segmentation(tmp_path / "seg.dcm", paths, {"Liver": fractions}, "FRACTIONAL")
    np.testing.assert_array_equal(read_label(path, volume.affine, volume.shape), TUMOUR)


def test_label_map_segmentation(tmp_path) -> None:
    paths, volume = image(tmp_path / "ct")
    path = write_segmentation(tmp_path / "seg.dcm", paths, {"Liver": LIVER, "Tumour": TUMOUR}, "LABELMAP")
    label = read_label(path, volume.affine, volume.shape, {"Liver": 5, "Tumour": 6})
    np.testing.assert_array_equal(label, np.where(TUMOUR, 6, LIVER * 5))


def test_what_is_named_later_covers(tmp_path) -> None:
    paths, volume = image(tmp_path / "ct")
    path = write_segmentation(tmp_path / "seg.dcm", paths, {"Liver": LIVER, "Tumour": TUMOUR})
    assert set(np.unique(read_label(path, volume.affine, volume.shape, {"Tumour": 2, "Liver": 1}))) == {0, 1}
    assert set(np.unique(read_label(path, volume.affine, volume.shape, {"Liver": 1, "Tumour": 2}))) == {0, 1, 2}
    assert set(np.unique(read_label(path, volume.affine, volume.shape))) == {0, 1, 2}


def test_segments_on_an_image_of_another_grid(tmp_path) -> None:
    """Half the slice distance, one voxel further, rows and columns reversed: each voxel takes the nearest."""
    paths, volume = image(tmp_path / "ct")
    path = write_segmentation(tmp_path / "seg.dcm", paths, {"Liver": LIVER})
    finer = volume.affine @ np.array([[-1, 0, 0, 10], [0, -1, 0, 9], [0, 0, 0.5, 0.1], [0, 0, 0, 1]])
    label = read_label(path, finer, (11, 10, 11))
    i, j, k = 10 - np.arange(11), 9 - np.arange(10), np.rint(0.1 + np.arange(11) / 2).astype(int)
    np.testing.assert_array_equal(label, LIVER[np.ix_(i, j, k)])


def test_unknown_names_are_listed(tmp_path) -> None:
    paths, volume = image(tmp_path / "ct")
    path = write_segmentation(tmp_path / "seg.dcm", paths, {"Liver": LIVER, "Tumour": TUMOUR})
    with pytest.raises(
        UserError, match=r"'Liver', 'Tumour'; expected 'Tumor' or 'mass' for the value 2.*mean 'Tumour'"
    ):
        read_label(path, volume.affine, volume.shape, {"Liver": 1, "Tumor": 2, "mass": 2})
    label = read_label(path, volume.affine, volume.shape, {"Liver": 1, "Spleen": 2}, absent="empty")
    np.testing.assert_array_equal(label, LIVER)


def test_labels_of_another_image_are_refused(tmp_path) -> None:
    paths, volume = image(tmp_path / "ct")
    path = write_segmentation(tmp_path / "seg.dcm", paths, {"Liver": LIVER})
    with pytest.raises(UserError, match="another frame of reference"):
        read_label(path, volume.affine, volume.shape, series="other", frame_of_reference="other")
    read_label(path, volume.affine, volume.shape, series="other", frame_of_reference=volume.space)
    read_label(path, volume.affine, volume.shape, series=volume.series, frame_of_reference="other")
    far = volume.affine.copy()
    far[:3, 3] += 1000
    with pytest.raises(UserError, match="outside its image"):
        read_label(path, far, volume.shape)


def contour(volume, columns: tuple[float, float], rows: tuple[float, float], place: float) -> np.ndarray:
    """A rectangle in index coordinates, as points in DICOM's axes."""
    corners = [(columns[0], rows[0]), (columns[1], rows[0]), (columns[1], rows[1]), (columns[0], rows[1])]
    points = np.array([[*corner, place, 1] for corner in corners])
    return (np.diag([-1.0, -1, 1, 1]) @ volume.affine @ points.T).T[:, :3]


@pytest.mark.parametrize("directions", [AXIAL, oblique()], ids=["axial", "oblique"])
def test_contours_are_filled_with_holes(tmp_path, directions) -> None:
    _, volume = image(tmp_path / "ct", directions)
    outer, hole = contour(volume, (1.5, 8.5), (0.5, 7.5), 2), contour(volume, (3.5, 5.5), (2.5, 4.5), 2)
    # the outer contour is there twice: it must not cancel itself
    path = write_structures(
        tmp_path / "rt.dcm", {"PTV": [outer, hole, outer], "node": [contour(volume, (4.5, 9.5), (3.5, 6.5), 4)]},
        "1.2.3", "1.2.9", "1.2",
    )  # fmt: skip
    label = read_label(path, volume.affine, volume.shape, {"ptv": 1, "Node": 2}, series=volume.series)
    expected = np.zeros(SHAPE)
    expected[2:9, 1:8, 2] = 1
    expected[4:6, 3:5, 2] = 0
    expected[5:10, 4:7, 4] = 2
    np.testing.assert_array_equal(label, expected)


def test_contours_finer_than_the_slices_do_not_cancel(tmp_path) -> None:
    _, volume = image(tmp_path / "ct")
    drawn = [contour(volume, (1.5, 3.5 + place), (0.5, 7.5), 2 + place) for place in (-0.33, 0.0, 0.33)]
    path = write_structures(tmp_path / "rt.dcm", {"PTV": drawn}, "1.2.3", "1.2.9", "1.2")
    label = read_label(path, volume.affine, volume.shape)
    np.testing.assert_array_equal(label, block((2, 4), (1, 8), (2, 3)))


@pytest.mark.parametrize(
    ("place", "shift", "told"), [(40, 0, "outside the image"), (2, 1.0, "crosses 1.0 slices")], ids=["far", "slanted"]
)
def test_contours_that_do_not_fit_are_refused(tmp_path, place: float, shift: float, told: str) -> None:
    _, volume = image(tmp_path / "ct")
    points = contour(volume, (1.5, 8.5), (0.5, 7.5), place)
    points[0, 2] += shift * volume.spacing[2]
    path = write_structures(tmp_path / "rt.dcm", {"PTV": [points]}, "1.2.3", "1.2.9", "1.2")
    with pytest.raises(UserError, match=told):
        read_label(path, volume.affine, volume.shape)


@pytest.mark.parametrize("turn", [0.0, 0.4], ids=["aligned", "turned"])
def test_nifti_labels_are_found_by_their_place_in_the_world(tmp_path, turn: float) -> None:
    own = np.array([[0, -0.8, 0, 5], [0.7, 0, 0, -3], [0, 0, 2, 1], [0, 0, 0, 1.0]])
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    own = own @ turned
    stored = values(SHAPE).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(stored, own), tmp_path / "label.nii.gz")
    affine = np.array([[1.0, 0, 0, -6.1], [0, 1, 0, -4.2], [0, 0, 1, 0.3], [0, 0, 0, 1]])
    label = read_label(tmp_path / "label.nii.gz", affine, (12, 11, 14))
    expected = np.zeros_like(label)
    for index in np.ndindex(label.shape):
        place = np.linalg.solve(own, affine @ [*index, 1])[:3]
        nearest = np.rint(place).astype(int)
        if (nearest >= 0).all() and (nearest < SHAPE).all():
            expected[index] = stored[tuple(nearest)]
    np.testing.assert_array_equal(label, expected)
    assert (expected > 0).mean() > 0.1


def test_nifti_labels_have_to_be_whole_numbers(tmp_path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.full(SHAPE, 0.5, np.float32), np.eye(4)), tmp_path / "label.nii.gz")
    with pytest.raises(UserError, match="no whole numbers"):
        read_label(tmp_path / "label.nii.gz", np.eye(4), SHAPE)


def test_labels_are_loaded_after_their_image(tmp_path) -> None:
    paths, volume = image(tmp_path / "ct")
    path = write_segmentation(tmp_path / "seg.dcm", paths, {"Liver": LIVER})
    record = {"image": str(tmp_path / "ct"), "label": str(path)}
    load_image = LoadImaged("image", reader="kdseg.data.VolumeReader", ensure_channel_first=True)
    loaded = Compose([load_image, LoadLabeld("label")])(record)
    np.testing.assert_array_equal(loaded["label"][0].numpy(), LIVER)
    np.testing.assert_array_equal(loaded["label"].affine.numpy(), volume.affine)
    with pytest.raises(Exception, match="applying transform") as raised:
        Compose([LoadLabeld("label"), load_image])(record)
    assert "after LoadImaged" in str(user_error_in(raised.value))


def test_studies_list_the_labels_and_what_they_were_drawn_on(tmp_path) -> None:
    paths, volume = image(tmp_path / "ct")
    write_segmentation(tmp_path / "seg.dcm", paths, {"Liver": LIVER})
    write_structures(tmp_path / "rt.dcm", {"PTV": [contour(volume, (1, 3), (1, 3), 1)]}, "1.2.3", "1.2.9", "1.2")
    (study,), _ = dicom_studies(tmp_path)
    assert [(label.kind, label.names) for label in study.labels] == [("RTSTRUCT", ("PTV",)), ("SEG", ("Liver",))]
    assert all(label.references == (study.series[0].series,) for label in study.labels)
