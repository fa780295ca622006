"""Where masks cannot be written, and archives that are none: one clear error, and nothing half-written."""

from __future__ import annotations

import errno
import os
import resource
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import kdseg
from kdseg.cli.main import main
from kdseg.deploy import predict_files
from kdseg.errors import UserError
from kdseg.phantom import make_phantom
from tests.data.make_files import write_dicom as write_cine
from tests.data.make_series import straight, write_series
from tests.tasks import tiny_task, trained_folder

TASK = tiny_task()
VOLUME = tiny_task(kind="volume", patch_size=[32, 32], head="softmax")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two pictures, beside the folder of a student."""
    trained_folder(tmp_path / "student", TASK)
    (tmp_path / "in").mkdir()
    for number in range(2):
        Image.fromarray(make_phantom(np.random.default_rng(number), 64)[0]).save(tmp_path / "in" / f"{number}.png")
    return tmp_path / "in"


def told_by(command: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a command that is refused."""
    assert main(command) in (1, 2)
    text = capsys.readouterr().err
    assert text.count("\n") == 1 and "found" in text and "To mend it" in text, text
    return text


def predict(tmp_path: Path, *sources: Path, student: str = "student") -> list[str]:
    return ["predict", str(tmp_path / student), *map(str, sources), "--out", str(tmp_path / "out")]


def test_a_file_in_the_folders_place(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").write_text("mine")
    assert "nothing can be written there" in told_by(predict(tmp_path, images), capsys)
    assert (tmp_path / "out").read_text() == "mine"


def test_a_file_in_the_masks_place(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "1_mask.png").write_text("mine")
    assert "1_mask.png" in told_by(predict(tmp_path, images), capsys)
    assert (tmp_path / "out" / "1_mask.png").read_text() == "mine" and (tmp_path / "out" / "0_mask.png").exists()


def test_a_folder_that_cannot_be_written(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.getuid() == 0:
        # nothing is forbidden to root

        def refused(*_: Any, **__: Any) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr("tempfile.TemporaryFile", refused)
    else:
        (tmp_path / "out").mkdir(mode=0o500)
    assert "Permission denied" in told_by(predict(tmp_path, images), capsys)
    assert not list((tmp_path / "out").glob("*"))


def test_a_full_disk_ends_the_run(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, path: Path, **_: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    student = kdseg.load(tmp_path / "student", device="cpu")
    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(UserError, match=r"0_mask\.png.*No space left"):
        predict_files(student, images, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_a_disk_that_takes_no_more_leaves_nothing_half_written(images: Path, tmp_path: Path) -> None:
    """The kernel takes no more than half a kilobyte of any file."""
    student = kdseg.load(tmp_path / "student", device="cpu")
    write_cine(tmp_path / "7.dcm", np.zeros((4, 64, 64), np.uint8), StudyInstanceUID="1.2", SeriesInstanceUID="1.3")
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, hard))
        done = predict_files(student, tmp_path / "7.dcm", tmp_path / "out", formats=["seg"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "7_mask.dcm" in done.set_aside[0] and "cannot be written" in done.set_aside[0]
    assert not list((tmp_path / "out").iterdir())


def test_a_series_without_geometry(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained_folder(tmp_path / "volumes", VOLUME)
    empty = dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient"), None)
    write_series(tmp_path / "series", np.zeros((9, 8, 4), np.int16), straight(4), each=[empty] * 4)
    assert "position" in told_by(predict(tmp_path, tmp_path / "series", student="volumes"), capsys)


def test_a_source_that_is_not_there(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such file" in told_by(predict(tmp_path, images, tmp_path / "nowhere"), capsys)
    assert not (tmp_path / "out").exists()


def test_an_unknown_format(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "did you mean 'seg'" in told_by([*predict(tmp_path, images), "--format", "segg"], capsys)


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("0.png", "w") as entry:
        entry.write(bytes(4 << 20))


def climbing(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../evil.png", b"evil")


def absolute(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("C:\\evil.png", b"evil")


def locked(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0.png", b"secret")
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + place] |= 1
    path.write_bytes(bytes(content))


ARCHIVES: dict[str, tuple[Any, str]] = {
    "bomb": (bomb, "as no images are"),
    "climbing": (climbing, "leads out"),
    "absolute": (absolute, "leads out"),
    "locked": (locked, "password"),
    "damaged": (lambda path: path.write_bytes(b"PK\x03\x04 and no more"), "cannot be unpacked"),
    "empty": (lambda path: zipfile.ZipFile(path, "w").close(), "no such file or folder"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_dangerous_archive_is_refused(
    name: str, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # of a bomb some megabytes are enough here
    monkeypatch.setattr("kdseg.masks.archives.HARMLESS", 1 << 20)
    make, told = ARCHIVES[name]
    make(tmp_path / "images.zip")
    before = set(tmp_path.rglob("*"))
    assert told in told_by(predict(tmp_path, tmp_path / "images.zip"), capsys)
    assert set(tmp_path.rglob("*")) == before and not (tmp_path.parent / "evil.png").exists()
