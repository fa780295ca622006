"""Contact sheets show CT in a window of soft tissue, sagittal stacks from the side, and each class in its colour."""

from __future__ import annotations

import numpy as np
import pytest

from kdseg.data.checks.loading import LoadedCase
from kdseg.data.checks.sheet import COLOURS, PANEL, panel_of, write_sheets

SHAPE = (40, 40, 12)


def loaded(image: np.ndarray, label: np.ndarray | None = None, spacing: tuple[float, ...] = (1, 1, 1)) -> LoadedCase:
    return LoadedCase(image.astype(np.float32), label, np.diag([*spacing, 1.0]), "RAS", True, ())


def grey_at(panel: np.ndarray, x: float, y: float) -> int:
    return int(panel[round(y * PANEL), round(x * PANEL), 0])


@pytest.mark.parametrize(("lowest", "liver", "kidney"), [(-1000, 60, 130), (0, 1060, 1130)])
def test_organs_of_ct_differ_in_grey(lowest: int, liver: int, kidney: int) -> None:
    image = np.full(SHAPE, float(lowest))
    # bone: with it the range of all values is much wider than that of the organs
    image[5:15, 5:35], image[25:35, 5:35], image[18:22] = liver, kidney, lowest + 2500
    panel = np.asarray(panel_of(loaded(image)))
    # the patient's right, where the first axis ends, is on the left side
    difference = grey_at(panel, 0.25, 0.5) - grey_at(panel, 0.75, 0.5)
    assert difference >= 40 if lowest < 0 else 0 < difference < 10


def test_a_sagittal_stack_is_shown_from_the_side() -> None:
    image = np.zeros((4, 40, 40))
    # in front and above
    image[:, 30:, 30:] = 100
    panel = np.asarray(panel_of(loaded(image, spacing=(3, 1, 1))))
    side = panel[:, PANEL:, 0]
    assert side[10, 40] == 255 and side[10, -10] == 0 and side[-10, 40] == 0
    # of a volume that is as wide as deep it is the coronal slice
    coronal = np.asarray(panel_of(loaded(np.repeat(image, 10, axis=0))))[:, PANEL:, 0]
    assert coronal.max() == coronal.min() or (coronal[10] == coronal[10, 0]).all()


def test_fourteen_classes_have_colours_of_their_own(tmp_path) -> None:
    assert len(set(COLOURS)) == len(COLOURS) == 14
    label = np.zeros(SHAPE, dtype=np.int16)
    label[4:10, 4:10], label[20:30, 20:30] = 1, 8
    colours = {tuple(colour) for colour in np.asarray(panel_of(loaded(label * 0.1, label))).reshape(-1, 3).tolist()}
    assert {COLOURS[0], COLOURS[7]} <= colours
    (path,) = write_sheets(
        [("a name that is longer than its panel is " * 4, None, panel_of(loaded(label)))], {}, tmp_path
    )
    assert path.name == "sheet_01.png"
