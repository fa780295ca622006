"""The overlay picture: right colours in the right places, whole or absent, and clear about bad rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kdseg.errors import UserError
from kdseg.pictures.overlay import COLOURS, GAP, PANEL, TITLE, OverlayRow, overlay_picture


def row(**predictions: np.ndarray) -> OverlayRow:
    truth = np.zeros((256, 256), np.uint8)
    truth[100:140, 100:140] = 1
    return OverlayRow("case 1", np.zeros((256, 256)), truth, predictions)


def panel(path: Path, column: int, index: int = 0) -> np.ndarray:
    left, top = GAP + column * (PANEL + GAP), TITLE + index * (PANEL + GAP)
    return np.asarray(Image.open(path))[top : top + PANEL, left : left + PANEL]


def looks_like(pixel: np.ndarray, name: str) -> bool:
    return bool(np.abs(pixel - 0.7 * np.array(COLOURS[name])).max() <= 1.0)


def test_found_missed_and_false_have_their_colours(tmp_path: Path) -> None:
    guess = np.zeros((256, 256))
    guess[100:140, 120:160] = 1
    path = overlay_picture([row(teacher=guess)], tmp_path / "overlay.png")
    picture = panel(path, 2)
    assert looks_like(picture[120, 130], "found")
    assert looks_like(picture[120, 110], "missed")
    assert looks_like(picture[120, 150], "false")
    assert (picture[50, 50] == 0).all()
    assert looks_like(panel(path, 1)[120, 110], "found")  # the truth's own panel
    assert (panel(path, 0)[120, 110] == 0).all()  # the input is bare


def test_there_is_a_row_for_each_case_and_a_column_for_each_prediction(tmp_path: Path) -> None:
    guess = np.zeros((256, 256))
    path = overlay_picture([row(teacher=guess, alone=guess, distilled=guess)] * 3, tmp_path / "new" / "overlay.png")
    width, height = Image.open(path).size
    assert width == 5 * (PANEL + GAP) + GAP and height > 3 * (PANEL + GAP)
    assert [entry.name for entry in path.parent.iterdir()] == ["overlay.png"]


def test_the_dice_of_each_panel_is_printed(tmp_path: Path) -> None:
    perfect = overlay_picture([row(a=row().truth)], tmp_path / "perfect.png")
    empty = overlay_picture([row(a=row().truth * 0)], tmp_path / "empty.png")
    corner = (slice(PANEL - 30, PANEL), slice(0, 100))
    assert (panel(perfect, 2)[corner] == 255).any()
    assert not np.array_equal(panel(perfect, 2)[corner], panel(empty, 2)[corner])


def test_pictures_of_another_shape_keep_their_proportions(tmp_path: Path) -> None:
    image = np.full((50, 100), 7.0)
    image[:, 50:] = 9.0
    path = overlay_picture([OverlayRow("", image, image > 8, {})], tmp_path / "overlay.png")
    picture = panel(path, 1)
    assert (picture[:60] == 0).all() and (picture[-60:] == 0).all()
    assert looks_like(picture[128, 200] - 0.3 * 255, "found")
    assert (picture[128, 30] == 0).all()


def test_bad_rows_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "overlay.png"
    with pytest.raises(UserError, match="no cases"):
        overlay_picture([], path)
    with pytest.raises(UserError, match="predictions alone"):
        overlay_picture([row(teacher=row().truth), row(alone=row().truth)], path)
    with pytest.raises(UserError, match=r"teacher of shape \(64, 64\)"):
        overlay_picture([row(teacher=np.zeros((64, 64)))], path)
    with pytest.raises(UserError, match="channel axes"):
        overlay_picture([OverlayRow("", np.zeros((1, 8, 8)), np.zeros((1, 8, 8)), {})], path)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = overlay_picture([row()], tmp_path / "overlay.png")
    before = path.read_bytes()

    def full(_: Image.Image, place: Path, **__: object) -> None:
        Path(place).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(UserError, match="No space"):
        overlay_picture([row(), row()], path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1
