"""The folder of phantom angiograms: valid XA files, masks beside them, the same bytes twice, whole or absent."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from kdseg.errors import UserError
from kdseg.phantom import write_phantom_set
from kdseg.phantom.angiogram import Angiogram
from kdseg.phantom.dicom import ENCODINGS, Encoding, write_dicom
from kdseg.phantom.vessels import View


def read(path: Path):
    import pydicom

    return pydicom.dcmread(path)  # without force: only a proper file opens


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_phantom_set(tmp_path_factory.mktemp("set") / "angiograms", count=7, unlabelled=2, size=64, seed=1)


def test_images_and_masks_have_the_same_stems(phantoms: Path) -> None:
    images = sorted(path.stem for path in (phantoms / "images").iterdir())
    assert images == sorted(path.stem for path in (phantoms / "masks").iterdir())
    assert len(images) == 7 and len(list((phantoms / "unlabelled").iterdir())) == 2
    assert not [path for path in phantoms.parent.iterdir() if path.name.startswith(".")]


def test_masks_are_black_and_white_and_of_the_images_size(phantoms: Path) -> None:
    from PIL import Image

    for path in (phantoms / "masks").iterdir():
        mask = np.asarray(Image.open(path))
        assert mask.shape == (64, 64) and mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 255}


def test_files_are_x_ray_angiograms_in_many_encodings(phantoms: Path) -> None:
    files = [read(path) for path in sorted((phantoms / "images").iterdir())]
    for file in files:
        assert file.Modality == "XA" and file.SOPClassUID.name == "X-Ray Angiographic Image Storage"
        assert file.file_meta.MediaStorageSOPInstanceUID == file.SOPInstanceUID
        assert file.PatientID.startswith("PHANTOM-")
        assert file.ImagerPixelSpacing[0] > 0 and file.WindowWidth > 1
        assert file.pixel_array.shape[-2:] == (64, 64)
    assert {(file.BitsStored, file.PhotometricInterpretation) for file in files} == {
        (encoding.bits, encoding.photometric) for encoding in ENCODINGS
    }
    assert {file.file_meta.TransferSyntaxUID.name for file in files} == {"Explicit VR Little Endian", "RLE Lossless"}
    assert len({file.SOPInstanceUID for file in files}) == len(files)


def test_the_fifth_file_is_a_cine_whose_last_frame_is_named(phantoms: Path) -> None:
    file = read(phantoms / "images" / "phantom_0005.dcm")
    assert 6 <= file.NumberOfFrames <= 8 and file.pixel_array.shape == (file.NumberOfFrames, 64, 64)
    assert file.RepresentativeFrameNumber == file.NumberOfFrames
    assert file.FrameIncrementPointer == 0x00181063 and file.FrameTime > 0


def test_patients_are_not_shared_between_labelled_and_unlabelled(phantoms: Path) -> None:
    def patients(name: str) -> list[str]:
        return [read(path).PatientID for path in (phantoms / name).iterdir()]

    assert not set(patients("images")) & set(patients("unlabelled"))
    assert len(set(patients("images"))) < 7  # some patient has more than one view


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    def digests(name: str, seed: int) -> dict[str, str]:
        folder = write_phantom_set(tmp_path / name, count=2, unlabelled=1, size=64, seed=seed)
        files = (path for path in folder.rglob("*") if path.is_file())
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    first = digests("first", 0)
    assert digests("second", 0) == first
    assert digests("third", 1) != first


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: f"{encoding.bits}-{encoding.photometric[-1]}")
def test_grey_values_survive_every_encoding(encoding: Encoding, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).random((1, 8, 8), dtype=np.float32)
    view = View(30.0, -20.0, 8, 0.4321)
    acquisition = Angiogram(frames, np.zeros((8, 8), bool), view)
    write_dicom(tmp_path / "a.dcm", acquisition, encoding, patient=1, series=1, seed=0)
    file = read(tmp_path / "a.dcm")
    white = 2**encoding.bits - 1
    greys = file.pixel_array / white
    if file.PhotometricInterpretation == "MONOCHROME1":
        greys = 1.0 - greys
    assert greys == pytest.approx(frames[0], abs=0.51 / white)
    assert (file.PositionerPrimaryAngle, file.PositionerSecondaryAngle) == (30.0, -20.0)
    assert list(file.ImagerPixelSpacing) == [0.6049, 0.6049]  # 1.4 times as large on the detector


def test_a_set_that_was_stopped_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kdseg.phantom.dataset.write_dicom", stop)
    with pytest.raises(KeyboardInterrupt):
        write_phantom_set(tmp_path / "angiograms", count=1, unlabelled=0, size=64)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(UserError, match="new or empty folder"):
        write_phantom_set(tmp_path, count=1, unlabelled=0, size=64)
    assert (tmp_path / "mine.txt").read_text() == "keep me"


@pytest.mark.parametrize("bad", [{"count": 0}, {"unlabelled": -1}, {"size": 63}, {"size": 32}, {"seed": -1}])
def test_bad_numbers_are_refused(bad: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(UserError):
        write_phantom_set(tmp_path / "angiograms", **bad)
    assert not list(tmp_path.iterdir())
