from __future__ import annotations

import pickle
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, decollate_batch
from monai.transforms import LoadImage, LoadImaged
from pydicom import Dataset as DicomDataset
from pydicom.uid import JPEGLSLossless, RLELossless

from kdseg.data import MaskReader, PictureReader
from kdseg.errors import UserError
from tests.data.make_files import angiogram, mask_of, write_dicom, write_picture


def load(path: Path, frame: int | str = "best"):
    return LoadImage(reader="kdseg.data.PictureReader", frame=frame, ensure_channel_first=True)(path)


def load_mask(path: Path):
    return MaskReader().get_data([path])[0]


@pytest.fixture
def picture() -> np.ndarray:
    return angiogram()


def test_the_same_picture_gives_the_same_array_from_every_format(tmp_path: Path, picture: np.ndarray):
    expected = picture.T[None] / 255
    sixteen = picture.astype(np.uint16) * 257
    files = [write_picture(tmp_path / f"a.{suffix}", picture) for suffix in ("png", "tiff", "pgm", "bmp")]
    files.append(write_picture(tmp_path / "colour.png", np.stack([picture] * 3, -1)))
    files.append(write_picture(tmp_path / "sixteen.png", sixteen))
    files.append(write_picture(tmp_path / "sixteen.tif", sixteen))
    files.append(write_picture(tmp_path / "sixteen.pgm", sixteen))
    files.append(write_dicom(tmp_path / "a.dcm", picture))
    files.append(write_dicom(tmp_path / "no_suffix", picture))
    files.append(write_dicom(tmp_path / "colour.dcm", np.stack([picture] * 3, -1)))
    files.append(write_dicom(tmp_path / "sixteen.dcm", sixteen, bits=16))
    files.append(write_dicom(tmp_path / "inverted.dcm", 255 - picture, PhotometricInterpretation="MONOCHROME1"))
    for name, array in (
        ("a.nii.gz", picture.T),
        ("float.nii", picture.T.astype(np.float32)),
        ("3d.nii", picture.T[..., None]),
    ):
        nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), tmp_path / name)
        files.append(tmp_path / name)
    for file in files:
        image = load(file)
        assert image.dtype == torch.float32
        np.testing.assert_allclose(image.numpy(), expected, atol=1e-6, err_msg=file.name)


def test_sixteen_bit_colour_tiff(tmp_path: Path, picture: np.ndarray):
    import tifffile

    tifffile.imwrite(tmp_path / "a.tif", np.stack([picture.astype(np.uint16) * 257] * 3, -1), photometric="rgb")
    np.testing.assert_allclose(load(tmp_path / "a.tif").numpy(), picture.T[None] / 255, atol=1e-6)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_compressed_dicom(tmp_path: Path, syntax: str):
    picture = angiogram(96, 64)
    file = write_dicom(tmp_path / "a.dcm", picture, compress=syntax)
    np.testing.assert_allclose(load(file).numpy(), picture.T[None] / 255, atol=1e-6)


@pytest.mark.parametrize("folder", ["compressed_jpeg", "compressed_jpegls", "compressed_j2k", "compressed_rle"])
def test_real_compressed_dicom(shared_data: Path, folder: str):
    image = load(sorted((shared_data / "dicom_series" / folder).glob("*.dcm"))[0])
    assert image.shape == (1, 256, 256) and image.std() > 0.005


def test_window_and_rescale(tmp_path: Path):
    values = np.array([[0, 1000, 2000, 4095]] * 4, dtype=np.uint16)
    file = write_dicom(
        tmp_path / "a.dcm", values, bits=12, RescaleSlope=1, RescaleIntercept=-1000, WindowCenter=500, WindowWidth=1000,
        VOILUTFunction="LINEAR_EXACT",
    )  # fmt: skip
    # modality values -1000, 0, 1000, 3095 in the window 0…1000
    np.testing.assert_allclose(load(file).numpy()[0, :, 0], [0, 0, 1, 1], atol=1e-6)


def test_voi_lookup_table(tmp_path: Path):
    table = DicomDataset()
    table.LUTDescriptor, table.LUTData = [4, 0, 10], np.array([0, 1023, 341, 682], dtype="<u2").tobytes()
    file = write_dicom(tmp_path / "a.dcm", np.array([[0, 1, 2, 3]] * 4, dtype=np.uint8), VOILUTSequence=[table])
    np.testing.assert_allclose(load(file).numpy()[0, :, 0], [0, 1, 1 / 3, 2 / 3], atol=1e-6)


def test_signed_values_and_empty_elements(tmp_path: Path):
    values = np.array([[-2048, 0, 2047, 2047]] * 4, dtype=np.int16)
    file = write_dicom(tmp_path / "a.dcm", values, bits=12, RescaleSlope=None, WindowCenter=None, WindowWidth=None)
    np.testing.assert_allclose(load(file).numpy()[0, :, 0], [0, 2048 / 4095, 1, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"PixelSpacing": [0.2, 0.3]}, (0.3, 0.2)),
        ({"ImagerPixelSpacing": [0.3, 0.6]}, (0.6, 0.3)),
        ({"ImagerPixelSpacing": [0.3, 0.6], "EstimatedRadiographicMagnificationFactor": 1.5}, (0.4, 0.2)),
        ({"ImagerPixelSpacing": [0.3, 0.6], "PixelSpacing": [0.2, 0.2]}, (0.2, 0.2)),
        ({}, None),
        ({"PixelSpacing": [0, 0]}, None),
    ],
)
def test_spacing(tmp_path: Path, picture: np.ndarray, elements: dict, expected: tuple[float, float] | None):
    image = load(write_dicom(tmp_path / "a.dcm", picture, **elements))
    assert image.meta["spacing_known"] == (expected is not None)
    np.testing.assert_allclose(image.pixdim, expected or (1, 1))


def test_spacing_of_enhanced_dicom(tmp_path: Path, picture: np.ndarray):
    measures, shared = DicomDataset(), DicomDataset()
    measures.PixelSpacing = [0.2, 0.3]
    shared.PixelMeasuresSequence = [measures]
    file = write_dicom(tmp_path / "a.dcm", picture[None], SharedFunctionalGroupsSequence=[shared])
    np.testing.assert_allclose(load(file).pixdim, (0.3, 0.2))


@pytest.fixture
def cine(tmp_path: Path) -> Path:
    """Four frames of 64 pixels; the vessel is longest in frame 2."""
    frames = np.full((4, 48, 64), 200, dtype=np.uint8)
    for frame, length in enumerate((0, 20, 48, 30)):
        frames[frame, :length, 30:33] = 90
    frames += np.arange(4, dtype=np.uint8)[:, None, None]
    return write_dicom(tmp_path / "cine.dcm", frames, PixelSpacing=[0.2, 0.3])


def test_frames(cine: Path):
    every = load(cine, "all")
    assert every.shape == (4, 64, 48)  # channels, never a spatial axis
    assert tuple(every.meta["spatial_shape"]) == (64, 48)
    np.testing.assert_allclose(every.pixdim, (0.3, 0.2))
    best = load(cine)
    assert best.shape == (1, 64, 48) and best.meta["frame"] == 2 and best.meta["frame_count"] == 4
    for index in range(4):
        assert torch.equal(load(cine, index)[0], every[index])
    assert torch.equal(best[0], every[2])


def test_best_frame_of_a_real_cine_shows_filled_arteries(shared_data: Path):
    # looked at: the right coronary artery fills from about frame 20 and is full with its branches from 36 to 90
    image = load(shared_data / "angiograms" / "cine_96_frames_jpeg.dcm")
    assert 36 <= image.meta["frame"] <= 90
    assert image.shape == (1, 512, 512)


def test_frame_that_is_not_there(cine: Path, tmp_path: Path, picture: np.ndarray):
    with pytest.raises(UserError, match="4 frames"):
        load(cine, 4)
    # a single picture is its only frame
    assert load(write_picture(tmp_path / "a.png", picture), 4).meta["frame"] == 0


def test_wrong_settings():
    with pytest.raises(UserError, match="did you mean 'best'"):
        PictureReader(frame="bset")
    with pytest.raises(UserError):
        PictureReader(frame=-1)
    with pytest.raises(UserError, match="did you mean 'frame'"):
        LoadImage(reader="kdseg.data.PictureReader", frmae=3)


def test_nothing_of_the_patient_is_in_the_meta_data(tmp_path: Path, picture: np.ndarray):
    image = load(write_dicom(tmp_path / "a.dcm", picture, PatientID="4711", PatientBirthDate="19700101"))
    assert not any(word in str(image.meta) for word in ("Secret", "4711", "19700101"))


def test_meta_data_survive_batches(tmp_path: Path, cine: Path):
    png = write_picture(tmp_path / "a.png", angiogram(64, 48))
    nibabel.save(nibabel.Nifti1Image(angiogram(64, 48).T, np.diag([0.5, 0.5, 1, 1])), tmp_path / "a.nii")
    load_both = LoadImaged("image", reader=PictureReader(), ensure_channel_first=True)
    data = Dataset([{"image": str(path)} for path in (cine, png, tmp_path / "a.nii")], load_both)
    batch = next(iter(DataLoader(data, batch_size=3)))
    items = decollate_batch(batch)
    assert [item["image"].meta["file_format"] for item in items] == ["dicom", "picture", "nifti"]
    assert [bool(item["image"].meta["spacing_known"]) for item in items] == [True, False, True]
    np.testing.assert_allclose(items[0]["image"].pixdim, (0.3, 0.2))


def test_damaged_dicom_is_told_by_name(shared_data: Path):
    readable = {"bad_sequence.dcm", "emri_small_big_endian.dcm"}
    for file in sorted((shared_data / "dicom_bad").glob("*.dcm")):
        if file.name in readable:
            assert load(file).ndim == 3
            continue
        with pytest.raises(UserError) as raised:
            load(file)
        assert str(raised.value).startswith(f"{file.name}: found ")
        assert str(file.parent) not in str(raised.value)
        assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_damaged_nifti_is_told_by_name(shared_data: Path):
    for name in ("5D_small.nii", "crash-1.nii", "not-nifti.nii", "example_nifti2.nii.gz"):
        with pytest.raises(UserError, match=name):
            load(shared_data / "nifti_bad" / name)


@pytest.mark.parametrize("name", ["a.dcm", "a.png", "a.nii.gz", "a.tif"])
def test_truncated_empty_and_missing_files(tmp_path: Path, name: str):
    path = tmp_path / name
    with pytest.raises(UserError, match="no such file"):
        load(path)
    path.write_bytes(b"")
    with pytest.raises(UserError, match="an empty file"):
        load(path)
    path.write_bytes(b"these are words, and no picture at all" * 20)
    with pytest.raises(UserError, match=name):
        load(path)
    picture = angiogram(200, 200)
    if name == "a.dcm":
        write_dicom(path, picture)
    elif name == "a.nii.gz":
        nibabel.save(nibabel.Nifti1Image(picture, np.eye(4)), path)
    else:
        write_picture(path, picture)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=name):
        load(path)


def test_masks_as_they_occur(tmp_path: Path, picture: np.ndarray):
    mask = mask_of(picture)
    expected = (mask.T[None] > 0).astype(np.float32)
    grey = mask.copy()
    grey[0, :4] = (1, 60, 127, 40)
    colour = np.zeros((*mask.shape, 3), dtype=np.uint8)
    colour[..., 0] = mask
    files = [write_picture(tmp_path / f"a.{suffix}", mask) for suffix in ("png", "pgm", "bmp", "tif", "gif")]
    files.append(write_picture(tmp_path / "ones.png", mask // 255))
    files.append(write_picture(tmp_path / "grey.png", grey))
    files.append(write_picture(tmp_path / "red.png", colour))
    files.append(write_picture(tmp_path / "bits.png", mask > 0))
    files.append(write_dicom(tmp_path / "a.dcm", mask))
    for name, dtype in (("a.nii.gz", np.uint8), ("i.nii", np.int16), ("f.nii", np.float32)):
        nibabel.save(nibabel.Nifti1Image((mask // 255).T.astype(dtype), np.eye(4)), tmp_path / name)
        files.append(tmp_path / name)
    for file in files:
        np.testing.assert_array_equal(load_mask(file), expected, err_msg=file.name)


def test_class_numbers_are_no_mask(tmp_path: Path):
    with pytest.raises(UserError, match="values from 0 to 25"):
        load_mask(write_picture(tmp_path / "a.png", np.array([[0, 1, 25]], dtype=np.uint8)))


def test_real_masks_have_two_values(shared_data: Path):
    for file in sorted((shared_data / "angiograms" / "masks").glob("*.png"))[:5]:
        assert set(np.unique(load_mask(file))) == {0.0, 1.0}


def test_mask_of_several_frames_needs_a_number(tmp_path: Path):
    frames = np.zeros((2, 4, 5), dtype=np.uint8)
    frames[1, 2, 3] = 1
    path = write_dicom(tmp_path / "a.dcm", frames)
    with pytest.raises(UserError, match="2 frames"):
        load_mask(path)
    assert MaskReader(frame=1).get_data([path])[0][0, 3, 2] == 1
