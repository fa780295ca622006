"""Files that lie, are damaged, or show nothing: each is one clear error, at once, and never the end of its folder."""

from __future__ import annotations

import re
import struct
import time
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import tifffile

from kdseg.data import PictureReader, VolumeReader, dicom_studies
from kdseg.data.formats.nifti import read_nifti
from kdseg.errors import UserError
from tests.data.make_files import angiogram, write_dicom, write_picture
from tests.data.make_series import straight, values, write_series

SHAPE = (12, 10, 6)


def refused(read, path: Path) -> str:
    """What is told of a file; within a second, and without its folder."""
    started = time.monotonic()
    with pytest.raises(UserError) as raised:
        read(path)
    assert time.monotonic() - started < 1 and str(path.parent) not in str(raised.value)
    return raised.value.found


def picture(path: Path):
    return PictureReader().get_data([path])


def volume(path: Path):
    return VolumeReader().get_data([path])


@pytest.mark.parametrize("size", [(1, 40), (40, 1), (3, 3), (1, 1)])
def test_pictures_of_no_size(tmp_path: Path, size: tuple[int, int]) -> None:
    path = write_picture(tmp_path / "a.png", np.arange(size[0] * size[1], dtype=np.uint8).reshape(size))
    assert refused(picture, path) == f"a picture of {size[1]}×{size[0]} pixels"


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 3, 3), (40, 1, 1)])
def test_volumes_of_no_size(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "a.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.float32), np.diag([2, 2, 2, 1])), path)
    assert refused(volume, path) == f"a volume of {'×'.join(map(str, shape))} voxels"


def test_a_single_slice_is_a_volume(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((9, 1, 8), np.float32), np.diag([2, 2, 2, 1])), path)
    assert volume(path)[0].shape == (9, 1, 8)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["a.tif", "a.nii.gz"])
def test_pictures_with_values_that_are_no_numbers(tmp_path: Path, name: str, value: float) -> None:
    array = angiogram().astype(np.float32) / 255
    array[3, 4] = value
    if name == "a.tif":
        tifffile.imwrite(tmp_path / name, array)
    else:
        nibabel.save(nibabel.Nifti1Image(array, np.diag([0.5, 0.5, 1, 1])), tmp_path / name)
    assert "no numbers" in refused(picture, tmp_path / name)


def nifti(path: Path, affine: np.ndarray, shape: tuple[int, ...] = SHAPE) -> Path:
    """With this affine in the header, whatever it is."""
    image = nibabel.Nifti1Image(np.ones(shape, np.int16), np.diag([2.0, 2, 2, 1]))
    nibabel.save(image, path)
    raw = bytearray(path.read_bytes())
    # srow_x, srow_y, srow_z, and sform_code 1
    struct.pack_into("<12f", raw, 280, *affine[:3].ravel())
    struct.pack_into("<2h", raw, 252, 0, 1)
    path.write_bytes(raw)
    return path


AFFINES = {
    "zero": np.zeros((4, 4)),
    "singular": np.array([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
    "not a number": np.full((4, 4), np.nan),
    "infinite": np.diag([np.inf, 1, 1, 1]),
    "tiny": np.diag([1e-9, 1e-9, 1e-9, 1]),
    "huge": np.diag([1.0, 1.0, 1e9, 1]),
}


@pytest.mark.parametrize("name", AFFINES)
def test_affines_that_no_scanner_writes(tmp_path: Path, name: str) -> None:
    assert "an affine with voxels of" in refused(volume, nifti(tmp_path / "a.nii", AFFINES[name]))
    if name != "huge":  # its third axis, which a picture does not have
        assert "an affine with voxels of" in refused(picture, nifti(tmp_path / "b.nii", AFFINES[name], (12, 10, 1)))


def test_micrometres_become_millimetres(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.ones(SHAPE, np.int16), np.diag([800.0, 700, 3000, 1]))
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "a.nii.gz")
    assert np.allclose(read_nifti(tmp_path / "a.nii.gz")[1], np.diag([0.8, 0.7, 3, 1]))


def test_scales_that_are_no_numbers(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", np.diag([2.0, 2, 2, 1]))
    raw = bytearray(path.read_bytes())
    struct.pack_into("<f", raw, 112, np.nan)
    path.write_bytes(raw)
    assert refused(volume, path) == "values that are scaled by nan"
    # the standard's way to say that there is no scale
    struct.pack_into("<f", raw, 112, 0)
    path.write_bytes(raw)
    assert volume(path)[0].max() == 1


@pytest.mark.parametrize("compressed", [False, True])
def test_nifti_headers_that_claim_more_than_the_file_holds(tmp_path: Path, compressed: bool) -> None:
    path = nifti(tmp_path / "a.nii", np.diag([2.0, 2, 2, 1]))
    raw = bytearray(path.read_bytes())
    struct.pack_into("<4h", raw, 40, 3, 30000, 30000, 30000)
    if compressed:
        import gzip

        path = tmp_path / "a.nii.gz"
        path.write_bytes(gzip.compress(bytes(raw)))
    else:
        path.write_bytes(raw)
    for read in (volume, picture):
        assert refused(read, path).startswith(("a header that claims", "content that cannot be decoded"))


@pytest.mark.parametrize("reader", [picture, volume])
@pytest.mark.parametrize("compress", [None, pydicom.uid.RLELossless])
def test_a_million_frames(tmp_path: Path, reader, compress) -> None:
    path = write_dicom(tmp_path / "a.dcm", np.stack([angiogram(), angiogram(seed=1)]), compress=compress)
    dataset = pydicom.dcmread(path)
    dataset.NumberOfFrames = 1_000_000
    dataset.save_as(path)
    assert refused(reader, path).startswith("a header that claims 1000000 frame(s)")


def test_a_claimed_size(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", angiogram())
    dataset = pydicom.dcmread(path)
    dataset.Rows = dataset.Columns = 65535
    dataset.save_as(path)
    assert "claims 1 frame(s) of 4294836225 values" in refused(picture, path)


def test_no_flipped_byte_ends_a_folder(tmp_path: Path) -> None:
    """Every value representation in the header of one file, spoilt in turn: the other slices are still found."""
    write_series(tmp_path / "good", values(SHAPE), straight(SHAPE[2]), series="1.2.3")
    path = write_series(tmp_path / "good" / "more", values((12, 10, 1)), straight(1), series="1.2.4")[0]
    raw = path.read_bytes()
    places = [found.start() for found in re.finditer(rb"(CS|UI|DS|IS|US|LO|OW|SH|PN|DA)(?=.\x00)", raw)]
    told = 0
    for place in places[:40]:
        path.write_bytes(raw[:place] + b"Z" + raw[place + 1 :])
        studies, problems = dicom_studies(tmp_path / "good")
        assert any(series.shape == SHAPE for study in studies for series in study.series)
        assert {problem["file"] for problem in problems} <= {path.name}
        told += len(problems)
    assert len(places) > 10 and told > 0
