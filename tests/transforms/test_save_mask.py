from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, decollate_batch
from monai.transforms import Compose, Invertd, LoadImaged, Resized
from PIL import Image

from kdseg.data import MaskReader, PictureReader
from kdseg.errors import UserError
from kdseg.transforms import SaveMaskd
from tests.data.make_files import angiogram, mask_of, write_dicom, write_picture


def load(path: Path, frame: int | str = "best") -> dict:
    return LoadImaged("image", reader=PictureReader(frame=frame), ensure_channel_first=True)({"image": str(path)})


def predicted(item: dict) -> dict:
    """The item with the mask that a perfect network would give."""
    return item | {"pred": (item["image"] < 60 / 255).float()}


def test_picture_gets_a_png_of_its_size(tmp_path: Path):
    picture = angiogram()
    SaveMaskd("pred", tmp_path / "out")(predicted(load(write_picture(tmp_path / "7.png", picture))))
    saved = np.asarray(Image.open(tmp_path / "out" / "7_mask.png"))
    np.testing.assert_array_equal(saved, mask_of(picture))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["7_mask.png"]


def test_dicom_gets_nifti_with_spacing(tmp_path: Path):
    picture = angiogram()
    result = SaveMaskd("pred", tmp_path)(
        predicted(load(write_dicom(tmp_path / "7.dcm", picture, PixelSpacing=[0.2, 0.3])))
    )
    saved = nibabel.load(tmp_path / "7_mask.nii.gz")
    assert saved.get_data_dtype() == np.uint8
    np.testing.assert_allclose(saved.header.get_zooms()[:2], (0.3, 0.2))
    np.testing.assert_array_equal(np.asarray(saved.dataobj), mask_of(picture).T // 255)
    assert result["pred"].meta["saved_to"] == str(tmp_path / "7_mask.nii.gz")
    # the saved mask is read again as it was
    np.testing.assert_array_equal(MaskReader().get_data([tmp_path / "7_mask.nii.gz"])[0], result["pred"].numpy())


def test_frames_are_the_fourth_axis(tmp_path: Path):
    frames = np.stack([angiogram(seed=seed) for seed in range(3)])
    frames[1] = np.roll(frames[1], 5, axis=1)
    item = predicted(load(write_dicom(tmp_path / "cine.dcm", frames, PixelSpacing=[0.2, 0.3]), "all"))
    SaveMaskd("pred", tmp_path)(item)
    saved = nibabel.load(tmp_path / "cine_mask.nii.gz")
    assert saved.shape == (40, 24, 1, 3)
    np.testing.assert_array_equal(np.asarray(saved.dataobj)[:, :, 0, 1], mask_of(frames[1]).T // 255)
    # and read again, frames are channels
    assert MaskReader(frame="all").get_data([tmp_path / "cine_mask.nii.gz"])[0].shape == (3, 40, 24)


def test_nifti_keeps_its_affine(tmp_path: Path):
    affine = np.array([[-0.3, 0, 0, 5], [0, 0.2, 0, 7], [0, 0, 1, 0], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(angiogram().T, affine), tmp_path / "a.b.nii.gz")
    SaveMaskd("pred", tmp_path)(predicted(load(tmp_path / "a.b.nii.gz")))
    np.testing.assert_allclose(nibabel.load(tmp_path / "a.b_mask.nii.gz").affine, affine, atol=1e-6)


def test_same_names_never_overwrite_each_other(tmp_path: Path):
    files = [tmp_path / name for name in ("a/1.png", "b/1.png", "b/1.bmp", "1.png")]
    for seed, file in enumerate(files):
        write_picture(file, angiogram(seed=seed))
    mirrored, flat = (
        SaveMaskd("pred", tmp_path / "mirrored", data_root_dir=tmp_path),
        SaveMaskd("pred", tmp_path / "flat"),
    )
    for _ in range(2):  # the second time over the same inputs gives the same names
        for file in files:
            mirrored(predicted(load(file)))
            flat(predicted(load(file)))
    names = {path.relative_to(tmp_path / "mirrored").as_posix() for path in (tmp_path / "mirrored").rglob("*.png")}
    assert len(names) == 4 and {"a/1_mask.png", "b/1_mask.png", "1_mask.png"} < names
    assert len(list((tmp_path / "flat").glob("*.png"))) == 4


def test_after_batches_and_inverted_transforms(tmp_path: Path):
    """The way of the inference config: load, resize, network, decollate, invert, save."""
    picture = angiogram()
    file = write_dicom(tmp_path / "7.dcm", picture, PixelSpacing=[0.2, 0.3])
    load_and_resize = Compose(
        [
            LoadImaged("image", reader=PictureReader(), ensure_channel_first=True),
            Resized("image", (80, 48), mode="nearest"),
        ]
    )
    batch = next(iter(DataLoader(Dataset([{"image": str(file)}], load_and_resize), batch_size=1)))
    batch["pred"] = (batch["image"] < 60 / 255).float()
    for item in decollate_batch(batch):
        item = Invertd("pred", load_and_resize, orig_keys="image", nearest_interp=True)(item)
        SaveMaskd("pred", tmp_path)(item)
    np.testing.assert_array_equal(
        np.asarray(nibabel.load(tmp_path / "7_mask.nii.gz").dataobj), mask_of(picture).T // 255
    )


def test_mask_may_be_a_plain_tensor(tmp_path: Path):
    item = load(write_picture(tmp_path / "7.png", angiogram()))
    SaveMaskd("pred", tmp_path)(item | {"pred": torch.ones(1, 40, 24, dtype=torch.uint8)})
    assert np.asarray(Image.open(tmp_path / "7_mask.png")).min() == 255


def test_wrong_masks_are_refused(tmp_path: Path):
    item = load(write_picture(tmp_path / "7.png", angiogram()))
    for pred, message in (
        (torch.zeros(1, 20, 12), "Invertd"),
        (torch.full((1, 40, 24), 0.5), "AsDiscreted"),
        (torch.full((1, 40, 24), 2), "from 0 to 1"),
    ):
        with pytest.raises(UserError, match=message):
            SaveMaskd("pred", tmp_path)(item | {"pred": pred})
    with pytest.raises(UserError, match="output_postfix"):
        SaveMaskd("pred", tmp_path, output_postfix="")
    assert [path.name for path in tmp_path.iterdir()] == ["7.png"]


def test_full_disk_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(self: object, path: str, **_: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    item = predicted(load(write_picture(tmp_path / "7.png", angiogram())))
    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(UserError, match=r"7_mask\.png: found that it cannot be written"):
        SaveMaskd("pred", tmp_path)(item)
    assert [path.name for path in tmp_path.iterdir()] == ["7.png"]


def test_the_root_may_be_the_file_itself(tmp_path: Path) -> None:
    path = write_picture(tmp_path / "study" / "7.png", angiogram())
    item = predicted(load(path))
    SaveMaskd("pred", tmp_path / "masks", data_root_dir=path)(item)
    assert [made.name for made in (tmp_path / "masks").iterdir()] == ["7_mask.png"]
