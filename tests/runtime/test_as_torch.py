"""Masks without torch are those of torch: the same pixels of pictures and volumes, for every kind of task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

import kdseg
from kdseg.errors import UserError
from kdseg.phantom import make_field, make_phantom
from kdseg.runtime import RuntimeStudent
from kdseg.task import Task, inferer
from tests.bundles.volumes import organs, write_dicom, write_nifti
from tests.tasks import VARIED, tiny_task, trained_folder

GREY = tiny_task(network=VARIED)
PICTURES = {
    "normalised": {},
    "as it is": {"z_score": False, "head": "softmax"},
    "CLAHE": {"z_score": False, "clahe": True},
    "window": {"z_score": False, "window": [0.2, 0.7]},
    "two classes": {"classes": ["a", "b"]},
    "two of softmax": {"classes": ["a", "b"], "head": "softmax", "largest_component": True},
    "largest": {"classes": ["a", "b"], "largest_component": True},
    "tiles": {"patch_size": [32, 32], "tile": 32, "border": 4},
    "reduced tiles": {"patch_size": [32, 32], "tile": 48, "border": 4},
    "reduced tiles of softmax": {"patch_size": [32, 32], "tile": 80, "head": "softmax", "classes": ["a", "b"]},
    "colour": {"colour": True, "z_score": False},
    "colour normalised": {"colour": True},
    "divided otherwise": {"divisible": 32},
}
VOLUME = tiny_task(kind="volume", patch_size=[32, 32], head="softmax", classes=["a", "b"], network=VARIED)
# no part of the files' spacing: half-way between two voxels the rounding of a processor decides in torch
IN_3D = {"dimensions": 3, "patch_size": [32, 32, 16]}
VOLUMES: dict[str, dict[str, Any]] = {
    "normalised": {},
    "window": {"z_score": False, "window": [-100, 100]},
    "neighbours": {"neighbours": 3, "largest_component": True},
    "sigmoid": {"head": "sigmoid", "largest_component": True},
    "spacing": {"spacing": [0.83, 0.71, 2.3]},
    "wide windows": {"patch_size": [48, 80]},
    "small windows of spacing": {"patch_size": [16, 32], "spacing": [0.83, 0.71, 2.3]},
    "3-D": {**IN_3D, "spacing": [0.93, 0.87, 2.9]},
    "3-D sigmoid": {**IN_3D, "spacing": [1.13, 0.57, 2.1], "overlap": 0.25, "head": "sigmoid"},
    "3-D small": {"dimensions": 3, "patch_size": [16, 32, 16], "spacing": [0.43, 0.61, 1.7]},
}


def both(folder: Path, task: Task) -> tuple[Any, RuntimeStudent]:
    """A student of torch, and the same network as a function of arrays."""
    trained_folder(folder / "student", task)
    made = kdseg.load(folder / "student", device="cpu")
    # each class somewhere, or the masks would be all one
    with torch.no_grad():
        parameters = [value for value in made.network.parameters() if value.ndim == 1]
        image = torch.randn(2, task.in_channels, *(task.patch_size or (64, 64)))
        parameters[-1] -= made.network(image).transpose(0, 1).flatten(1).median(dim=1).values

    def model(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return made.network(torch.from_numpy(np.ascontiguousarray(images))).numpy()

    return made, RuntimeStudent(task, model)


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name: str, tmp_path: Path) -> None:
    task = GREY.changed(PICTURES[name])
    of_torch, of_arrays = both(tmp_path, task)
    # neither square nor a multiple of what networks divide by
    picture = make_field(96, 1)[0][:70] if task.colour else make_phantom(np.random.default_rng(3), 96)[0][:70]
    Image.fromarray(picture).save(tmp_path / "7.png")
    expected = np.asarray(of_torch(tmp_path / "7.png"))
    assert expected.shape == (70, 96) and len(np.unique(expected)) == (2 if len(task.classes) == 1 else 3)
    for image in (tmp_path / "7.png", picture, torch.from_numpy(picture)):
        mask = of_arrays(image)
        assert type(mask) is type(of_torch(image))
        assert np.array_equal(np.asarray(mask), expected), (np.asarray(mask) != expected).mean()


@pytest.mark.parametrize("frame", ["all", "best", 1])
def test_frames_of_a_cine(frame: Any, tmp_path: Path) -> None:
    of_torch, of_arrays = both(tmp_path, GREY)
    frames = np.stack([make_phantom(np.random.default_rng(seed), 64)[0][:50].T for seed in range(3)], axis=-1)
    nibabel.save(nibabel.Nifti1Image(frames.astype(np.float32), np.diag([0.3, 0.3, 1, 1])), tmp_path / "7.nii.gz")
    of_arrays.task = GREY.changed({"frame": frame})
    expected = kdseg.load(tmp_path / "student", device="cpu", frame=frame)
    expected.network = of_torch.network
    wanted, mask = expected(tmp_path / "7.nii.gz"), of_arrays(tmp_path / "7.nii.gz")
    assert mask.shape == wanted.shape == (64, 50, 1, 3 if frame == "all" else 1) and np.ptp(mask.dataobj) == 1
    assert np.array_equal(np.asarray(mask.dataobj), np.asarray(wanted.dataobj))


def turned(values: np.ndarray) -> nibabel.Nifti1Image:
    """A volume whose axes are in another order, flipped and oblique."""
    sine, cosine = np.sin(0.1), np.cos(0.1)
    axes = np.array([[0, 0.9 * sine, 2.8 * cosine], [-0.7, 0, 0], [0, -0.9 * cosine, 2.8 * sine]])
    affine = np.block([[axes, np.array([[3.0], [10.0], [-4.0]])], [np.zeros((1, 3)), np.ones((1, 1))]])
    return nibabel.Nifti1Image(values.astype(np.float32), affine)


def sheared(values: np.ndarray) -> nibabel.Nifti1Image:
    """A volume of a tilted stack."""
    affine = np.diag([0.7, 0.7, 2.5, 1.0])
    affine[1, 2] = 0.6
    return nibabel.Nifti1Image(values.astype(np.float32), affine)


@pytest.mark.parametrize("name", VOLUMES)
def test_volumes(name: str, tmp_path: Path) -> None:
    task = VOLUME.changed(VOLUMES[name])
    of_torch, of_arrays = both(tmp_path, task)
    values, _ = organs((1, 2), 1)
    write_nifti(tmp_path / "7.nii.gz", values, flipped=True)
    images: list[Any] = [tmp_path / "7.nii.gz", (values, np.eye(4)), turned(values)]
    if task.spacing is not None:
        images.append(sheared(values))
    series = write_dicom(tmp_path / "series", values, "MR", "patient")
    for image in [*images, series]:
        expected, mask = of_torch(image), of_arrays(image)
        if isinstance(expected, tuple):
            expected, mask = expected[0], mask[0]
        else:
            assert np.allclose(mask.affine, expected.affine)
            expected, mask = np.asarray(expected.dataobj), np.asarray(mask.dataobj)
        assert mask.shape == expected.shape == values.shape and len(np.unique(expected)) == 3
        # MONAI resamples in single precision: of a network that has learnt nothing a voxel may fall to either class
        few = 0 if task.spacing is None else 1e-3
        assert (mask != expected).mean() <= few


@pytest.mark.parametrize("name", VOLUMES)
def test_the_network_is_fed_the_same(name: str, tmp_path: Path) -> None:
    task = VOLUME.changed(VOLUMES[name])
    of_torch, of_arrays = both(tmp_path, task)
    path = write_nifti(tmp_path / "7.nii.gz", organs((1, 2), 1)[0])
    expected = of_torch.prepare({"image": str(path)})["image"]
    prepared = of_arrays.prepare(*of_arrays.read(str(path)))
    assert prepared.values.dtype == np.float32 and prepared.values.shape == expected.shape
    # MONAI resamples in single precision: a position of 30 is known to 2e-6, and values change by some units in a step
    exact = 1e-5 if task.spacing is None else 1e-4
    assert np.allclose(prepared.values, expected.numpy(), atol=exact)
    seen: list[list[np.ndarray]] = [[], []]

    def keep(place: int, images: np.ndarray) -> np.ndarray:
        seen[place].extend(images.copy())
        return np.zeros((len(images), task.out_channels, *images.shape[2:]), np.float32)

    inferer(task)(expected.as_tensor()[None], lambda batch: torch.from_numpy(keep(0, batch.numpy())))
    of_arrays.model = lambda images: keep(1, images)
    of_arrays.masks(prepared)
    assert len(seen[0]) == len(seen[1])
    assert all(np.allclose(one, other, atol=exact) for one, other in zip(*seen, strict=True))


def test_n4(tmp_path: Path) -> None:
    pytest.importorskip("SimpleITK")
    of_torch, of_arrays = both(tmp_path, VOLUME.changed({"n4": True}))
    path = write_nifti(tmp_path / "7.nii.gz", organs((1, 2), 1)[0])
    assert np.array_equal(np.asarray(of_arrays(path).dataobj), np.asarray(of_torch(path).dataobj))


def test_a_step_without_a_form_on_arrays_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, of_arrays = both(tmp_path, GREY)
    monkeypatch.setattr("kdseg.runtime.intensity.STEPS", {})
    with pytest.raises(UserError, match="NormalizeIntensityd, which has no form without torch"):
        of_arrays(np.zeros((32, 32)))


@pytest.mark.parametrize(
    ("task", "image", "told"),
    [
        (GREY, np.zeros((4, 32, 32, 2)), "4 axes"),
        (GREY, np.full((32, 32), np.nan, np.float32), "no numbers"),
        (GREY, None, "NoneType"),
        (VOLUME, np.zeros((32, 32)), "WHD"),
        (VOLUME, np.full((32, 32, 6), np.inf, np.float32), "no numbers"),
        (GREY, "none.png", "none.png"),
        (VOLUME, "none.nii.gz", "none.nii.gz"),
    ],
)
def test_what_is_no_image_of_the_task_is_refused(task: Task, image: Any, told: str) -> None:
    student = RuntimeStudent(task, lambda images: images)
    with pytest.raises(UserError, match=told):
        student(image)
