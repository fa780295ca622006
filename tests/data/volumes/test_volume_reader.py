"""The MONAI reader: what transforms after it see, and what it refuses."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from monai.transforms import Compose, LoadImage, LoadImaged, Orientationd, Spacingd

from kdseg.data import VolumeReader, dicom_series
from kdseg.errors import UserError, user_error_in
from tests.data.make_series import SECRET, oblique, straight, values, write_enhanced, write_series

READER = "kdseg.data.VolumeReader"


def loaded(path, **settings):
    return LoadImage(reader=READER, ensure_channel_first=True, **settings)(path)


def test_folder_file_list_and_nifti_are_the_same_volume(tmp_path) -> None:
    positions = straight(4, directions=oblique())
    paths = write_series(tmp_path / "ct", values(), positions, oblique())
    volume = dicom_series(tmp_path / "ct")[0]
    nibabel.save(nibabel.Nifti1Image(volume.read(), volume.affine), tmp_path / "ct.nii.gz")
    images = [loaded(given) for given in (tmp_path / "ct", paths[1], paths, tmp_path / "ct.nii.gz")]
    for image in images:
        assert image.shape == (1, 6, 5, 4) and str(image.dtype) == "torch.float32"
        np.testing.assert_array_equal(image.numpy(), images[0].numpy())
        np.testing.assert_allclose(image.affine.numpy(), volume.affine, atol=1e-5)
    assert [image.meta["file_format"] for image in images] == ["dicom", "dicom", "dicom", "nifti"]


def test_transforms_see_the_same_world_as_after_monais_reader(tmp_path) -> None:
    directions = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0))
    write_series(tmp_path / "mr", values((20, 16, 6)), straight(6, directions=directions), directions, (0.8, 0.75))
    volume = dicom_series(tmp_path / "mr")[0]
    nibabel.save(nibabel.Nifti1Image(volume.read(), volume.affine), tmp_path / "mr.nii.gz")
    results = []
    for reader, path in ((READER, tmp_path / "mr"), ("NibabelReader", tmp_path / "mr.nii.gz")):
        steps = [
            LoadImaged("image", reader=reader, ensure_channel_first=True),
            Orientationd("image", axcodes="RAS"),
            Spacingd("image", pixdim=(1.5, 1.0, 1.0)),
        ]
        results.append(Compose(steps)({"image": str(path)})["image"])
    assert results[0].shape == results[1].shape
    np.testing.assert_allclose(results[0].affine.numpy(), results[1].affine.numpy(), atol=1e-5)
    np.testing.assert_allclose(results[0].numpy(), results[1].numpy(), atol=0.1)


def test_meta_data_name_nobody(tmp_path) -> None:
    write_series(tmp_path, values(), straight(4))
    assert SECRET not in str({key: value for key, value in loaded(tmp_path).meta.items() if "filename" not in key})


def test_settings_choose_and_resample(tmp_path) -> None:
    write_series(tmp_path / "a", values(), straight(4), SeriesDescription="T2 tra")
    write_series(tmp_path / "b", values((6, 5, 3)), straight(4)[[0, 1, 3]], SeriesDescription="ADC")
    assert loaded(tmp_path, description="t2").shape == (1, 6, 5, 4)
    assert loaded(tmp_path, choose="largest").shape == (1, 6, 5, 4)
    assert loaded(tmp_path, description="adc", uneven="resample").shape == (1, 6, 5, 4)
    for settings, told in (({}, "2 volumes"), ({"description": "adc"}, "1 slice missing")):
        with pytest.raises(UserError, match=told):
            loaded(tmp_path, **settings)


def test_enhanced_file(tmp_path) -> None:
    path = write_enhanced(tmp_path / "mr.dcm", values(), straight(4), slopes=[1, 1, 1, 1])
    np.testing.assert_array_equal(loaded(path)[0].numpy(), values() + 1)


def test_mistyped_settings_are_told() -> None:
    with pytest.raises(UserError, match="did you mean 'description'"):
        VolumeReader(descripton="t2")
    with pytest.raises(UserError, match="expected refuse or resample"):
        VolumeReader(uneven="mend")


@pytest.mark.parametrize("content", [b"", b"not a NIfTI file"])
def test_bad_nifti_files_are_told(tmp_path, content: bytes) -> None:
    path = tmp_path / "bad.nii.gz"
    path.write_bytes(content)
    with pytest.raises((UserError, RuntimeError)) as raised:
        loaded(path)
    assert "cannot be decoded" in str(user_error_in(raised.value))
