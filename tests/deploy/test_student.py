"""A student takes what programs hold and gives the same kind back: the mask that ``kdseg predict`` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

import kdseg
from kdseg.deploy import predict_files
from kdseg.errors import UserError, user_error_in
from kdseg.phantom import make_field, make_phantom
from kdseg.task import Task
from tests.bundles.volumes import SPACING, affine, organs, write_dicom, write_nifti
from tests.tasks import VARIED, tiny_task, trained_folder

GREY = tiny_task(network=VARIED)
TASKS = {
    "normalised": GREY,
    "as it is": GREY.changed({"z_score": False, "head": "softmax"}),
    "CLAHE": GREY.changed({"z_score": False, "clahe": True}),
    "two classes": GREY.changed({"classes": ["a", "b"]}),
    "tiles": GREY.changed({"patch_size": [32, 32], "tile": 48, "border": 4}),
    "colour": GREY.changed({"colour": True, "z_score": False}),
    "colour normalised": GREY.changed({"colour": True}),
}
VOLUME = tiny_task(kind="volume", patch_size=[32, 32], head="softmax", classes=["a", "b"], network=VARIED)
VOLUMES = {
    "normalised": VOLUME,
    "window": VOLUME.changed({"z_score": False, "window": [-100, 100]}),
    "neighbours": VOLUME.changed({"neighbours": 3, "largest_component": True}),
    "3-D": VOLUME.changed({"dimensions": 3, "patch_size": [32, 32, 16], "spacing": [0.9, 0.9, 3.0]}),
}


def student(folder: Path, task: Task) -> Any:
    trained_folder(folder / "student", task)
    return kdseg.load(folder / "student", device="cpu")


def predicted(made: Any, image: Path, folder: Path) -> Path:
    done = predict_files(made, image, folder / "masks")
    assert done.set_aside == []
    return Path(done.cases[0]["output"])


def picture_of(path: Path, classes: int) -> np.ndarray:
    """Class numbers ``HW`` of a mask file."""
    return np.asarray(Image.open(path)) // (255 if classes == 1 else 1)


@pytest.mark.parametrize("name", TASKS)
def test_pictures(name: str, tmp_path: Path) -> None:
    task = TASKS[name]
    made = student(tmp_path, task)
    grey = make_phantom(np.random.default_rng(3), 64)[0][:50]
    picture = make_field(64, 1)[0][:50] if task.colour else grey
    Image.fromarray(picture).save(tmp_path / "7.png")
    expected = picture_of(predicted(made, tmp_path / "7.png", tmp_path), len(task.classes))
    assert expected.shape == (50, 64) and len(np.unique(expected)) > 1
    of_path, of_array, of_tensor = made(tmp_path / "7.png"), made(picture), made(torch.from_numpy(picture))
    assert isinstance(of_path, Image.Image) and isinstance(of_array, np.ndarray) and isinstance(of_tensor, torch.Tensor)
    for mask in (np.asarray(of_path), of_array, of_tensor.numpy()):
        assert mask.dtype == np.uint8 and np.array_equal(mask, expected)


def test_pictures_of_other_depths_and_colours(tmp_path: Path) -> None:
    made = student(tmp_path, TASKS["as it is"])
    grey = make_phantom(np.random.default_rng(3), 64)[0][:50]
    deep, coloured = grey.astype(np.uint16) * 257, make_field(64, 1)[0][:50]
    for number, picture in enumerate((deep, coloured)):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
        assert np.array_equal(made(picture), picture_of(predicted(made, tmp_path / f"{number}.png", tmp_path), 1))
    assert np.array_equal(made(deep), made(grey))
    # grey is as good as colour to a student of colours
    assert made_of_colours(tmp_path)(grey).shape == grey.shape


def made_of_colours(folder: Path) -> Any:
    return student(folder / "colours", TASKS["colour"])


def test_a_flat_nibabel_image(tmp_path: Path) -> None:
    made = student(tmp_path, GREY)
    grey = make_phantom(np.random.default_rng(3), 64)[0][:50]
    image = nibabel.Nifti1Image(grey.T[..., None].astype(np.float32), np.diag([0.3, 0.3, 1, 1]))
    nibabel.save(image, tmp_path / "7.nii.gz")
    expected = nibabel.load(predicted(made, tmp_path / "7.nii.gz", tmp_path))
    mask = made(image)
    assert isinstance(mask, nibabel.Nifti1Image) and np.allclose(mask.affine, image.affine)
    assert np.array_equal(np.asarray(mask.dataobj).squeeze(), np.asarray(expected.dataobj).squeeze())


def test_frames_of_a_cine(tmp_path: Path) -> None:
    trained_folder(tmp_path / "student", GREY)
    frames = np.stack([make_phantom(np.random.default_rng(seed), 64)[0][:50].T for seed in range(3)], axis=-1)
    nibabel.save(nibabel.Nifti1Image(frames.astype(np.float32), np.diag([0.3, 0.3, 1, 1])), tmp_path / "7.nii.gz")
    every = kdseg.load(tmp_path / "student", frame="all")
    mask = every(tmp_path / "7.nii.gz")
    expected = nibabel.load(predicted(every, tmp_path / "7.nii.gz", tmp_path))
    assert mask.shape == expected.shape == (64, 50, 1, 3)
    assert np.array_equal(np.asarray(mask.dataobj), np.asarray(expected.dataobj))
    one = kdseg.load(tmp_path / "student", frame=1)(tmp_path / "7.nii.gz")
    assert np.array_equal(np.asarray(one.dataobj).squeeze(), np.asarray(mask.dataobj)[:, :, 0, 1])


@pytest.mark.parametrize("name", VOLUMES)
def test_volumes(name: str, tmp_path: Path) -> None:
    made = student(tmp_path, VOLUMES[name])
    values, _ = organs((1, 2), 1)
    image = nibabel.load(write_nifti(tmp_path / "7.nii.gz", values))
    expected = nibabel.load(predicted(made, tmp_path / "7.nii.gz", tmp_path))
    truth = np.asarray(expected.dataobj)
    assert truth.shape == values.shape and len(np.unique(truth)) > 1
    for given in (tmp_path / "7.nii.gz", str(tmp_path / "7.nii.gz"), image):
        mask = made(given)
        assert isinstance(mask, nibabel.Nifti1Image) and np.allclose(mask.affine, image.affine)
        assert mask.get_data_dtype() == np.uint8 and np.array_equal(np.asarray(mask.dataobj), truth)
    mask, place = made((values, affine()))
    assert isinstance(mask, np.ndarray) and np.array_equal(mask, truth) and np.array_equal(place, affine())
    # without an affine the axes are taken to run to the right, to the front and up, with steps of 1 mm
    bare = made(values)
    assert isinstance(bare, np.ndarray) and np.array_equal(bare, made((values, np.eye(4)))[0])


@pytest.mark.parametrize("name", VOLUMES)
def test_a_dicom_series(name: str, tmp_path: Path) -> None:
    made = student(tmp_path, VOLUMES[name])
    series = write_dicom(tmp_path / "series", organs((1, 2), 1)[0], "MR", "patient")
    expected = nibabel.load(predicted(made, series, tmp_path))
    mask = made(series)
    assert np.allclose(mask.affine, expected.affine) and np.array_equal(np.asarray(mask.dataobj), expected.get_fdata())


@pytest.mark.parametrize("name", VOLUMES)
def test_simpleitk(name: str, tmp_path: Path) -> None:
    itk = pytest.importorskip("SimpleITK")
    made = student(tmp_path, VOLUMES[name])
    write_nifti(tmp_path / "7.nii.gz", organs((1, 2), 1)[0], flipped=True)
    expected = predicted(made, tmp_path / "7.nii.gz", tmp_path)
    image = itk.ReadImage(str(tmp_path / "7.nii.gz"))
    mask = made(image)
    assert isinstance(mask, itk.Image) and mask.GetSpacing() == pytest.approx(SPACING)
    assert mask.GetOrigin() == image.GetOrigin() and mask.GetDirection() == image.GetDirection()
    assert np.array_equal(itk.GetArrayFromImage(mask), itk.GetArrayFromImage(itk.ReadImage(str(expected))))


def test_a_flat_simpleitk_image(tmp_path: Path) -> None:
    itk = pytest.importorskip("SimpleITK")
    made = student(tmp_path, GREY)
    grey = make_phantom(np.random.default_rng(3), 64)[0][:50]
    image = itk.GetImageFromArray(grey)
    image.SetSpacing((0.3, 0.4))
    mask = made(image)
    assert isinstance(mask, itk.Image) and mask.GetSpacing() == (0.3, 0.4)
    assert np.array_equal(itk.GetArrayFromImage(mask), made(grey))


@pytest.mark.parametrize(
    ("task", "image", "told"),
    [
        (GREY, np.zeros((4, 32, 32, 2)), "4 axes"),
        (GREY, np.zeros((32, 32, 4)), "HW"),
        (GREY, np.zeros(32), "1 axes"),
        (GREY, np.full((32, 32), np.nan, np.float32), "no numbers"),
        (GREY, {"image": 1}, "a dict"),
        (GREY, None, "NoneType"),
        (VOLUME, np.zeros((32, 32)), "WHD"),
        (VOLUME, np.zeros((2, 32, 32, 6)), "WHD"),
        (VOLUME, np.full((32, 32, 6), np.inf, np.float32), "no numbers"),
        (VOLUME, (np.zeros((32, 32, 6)), np.eye(3)), "a tuple"),
        (GREY, "none.png", "none.png"),
        (VOLUME, "none.nii.gz", "none.nii.gz"),
    ],
)
def test_what_is_no_image_of_the_task_is_refused(task: Task, image: Any, told: str, tmp_path: Path) -> None:
    made = student(tmp_path, task)
    with pytest.raises((UserError, RuntimeError)) as caught:
        made(image)
    error = user_error_in(caught.value)
    assert error is not None and told in str(error) and "\n" not in str(error)


def test_where_and_how_may_be_said_and_nothing_else(tmp_path: Path) -> None:
    trained_folder(tmp_path, GREY)
    assert kdseg.load(tmp_path, frame=2).task.frame == 2
    with pytest.raises(UserError, match="frame"):
        kdseg.load(tmp_path, frame="middle")
    with pytest.raises(UserError, match="clahe"):
        kdseg.load(tmp_path, clahe=True)
