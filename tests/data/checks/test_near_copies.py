"""Pictures of one view stay together, and what looks like a mask is no image."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from kdseg.data.checks.content import NEAR_COPY, similarity, thumbnail
from kdseg.data.checks.findings import KINDS
from kdseg.data.checks.measures import looks_like_a_mask
from kdseg.data.checks.report import check_datalist
from tests.data.make_files import TASK, prepare_task, write_picture


def view(seed: int, moved: int = 0) -> np.ndarray:
    """A smooth 8-bit picture ``(H, W)`` with a dark line, moved by some pixels as the heart does between frames."""
    picture = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(96, 128)), 8)
    picture = 60 + 180 * (picture - picture.min()) / np.ptp(picture)
    picture[20:80, 40 + moved : 43 + moved] -= 40
    return (picture + np.random.default_rng(99 + moved).normal(0, 4, picture.shape)).clip(0, 255).astype(np.uint8)


def write_views(folder: Path, pairs: int) -> None:
    for seed in range(pairs):
        for number, moved in enumerate((0, 1)):
            picture = view(seed, moved)
            write_picture(folder / "images" / f"{seed}_{number}.png", picture)
            mask = np.zeros(picture.shape, np.uint8)
            mask[20:80, 40 + moved : 43 + moved] = 255
            write_picture(folder / "masks" / f"{seed}_{number}.png", mask)


def test_two_frames_of_a_view_are_near_and_two_views_are_not() -> None:
    views = np.stack([thumbnail(view(seed, moved) / 255) for seed in range(5) for moved in (0, 1)])
    alike = similarity(views)
    np.testing.assert_allclose(np.diag(alike), 1)
    same = np.kron(np.eye(5), np.ones((2, 2))).astype(bool)
    assert alike[same].min() > NEAR_COPY > alike[~same].max()


def test_near_copies_come_into_one_section_and_fold(tmp_path: Path) -> None:
    write_views(tmp_path / "data", 8)
    result = prepare_task(TASK, tmp_path / "data", tmp_path / "list.json")
    content = json.loads(result.datalist.read_text())
    place = {
        record["case"]: (section, record.get("fold"), record["patient"])
        for section in ("training", "validation", "test")
        for record in content[section]
    }
    assert len(place) == 16 and all(place[f"{seed}_0"] == place[f"{seed}_1"] for seed in range(8))
    assert any(note.startswith("8 pair(s) of pictures are nearly the same: 0_0 and 0_1 (") for note in result.notes)


def test_near_copies_in_a_published_division_are_told(tmp_path: Path) -> None:
    write_views(tmp_path / "data", 4)
    for kind in ("images", "masks"):
        for part, names in (("train", ("0_0", "1_0", "1_1", "2_0", "2_1")), ("test", ("0_1", "3_0", "3_1"))):
            (tmp_path / part / kind).mkdir(parents=True)
            for name in names:
                (tmp_path / "data" / kind / f"{name}.png").rename(tmp_path / part / kind / f"{name}.png")
    result = prepare_task(TASK, tmp_path, tmp_path / "out" / "list.json", fractions=(1, 0, 0))
    assert result.problems == [] and result.counts["test"] == 3
    (finding,) = [
        finding
        for finding in check_datalist(result.datalist).findings
        if finding.kind == "near copies in several parts" and "test" in finding.text
    ]
    assert sorted(finding.cases) == ["0_0", "0_1"] and finding.grade == "warning"


def test_real_angiograms_of_one_view_stay_together(shared_data: Path, tmp_path: Path) -> None:
    for name in ("2", "3", "14", "15", "5", "7", "16", "20"):
        for kind in ("images", "masks"):
            (original,) = (shared_data / "angiograms" / kind).glob(f"{name}.*")
            (tmp_path / "data" / kind).mkdir(parents=True, exist_ok=True)
            (tmp_path / "data" / kind / original.name).write_bytes(original.read_bytes())
    result = prepare_task(TASK, tmp_path / "data", tmp_path / "list.json")
    content = json.loads(result.datalist.read_text())
    parts = {
        record["case"]: (section, record.get("fold"))
        for section in ("training", "validation", "test")
        for record in content[section]
    }
    assert parts["2"] == parts["3"] and parts["14"] == parts["15"]
    assert not [
        finding for finding in check_datalist(result.datalist).findings if finding.kind.startswith("near copies")
    ]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.kron(np.arange(12).reshape(3, 4), np.ones((9, 9))), True),
        (np.kron(np.eye(3), np.ones((9, 9))), True),
        (np.random.default_rng(0).integers(0, 200, (30, 30)), False),
        (np.random.default_rng(0).normal(size=(30, 30)), False),
        # an 8-bit picture with a black border, scaled to [0, 1]
        (np.pad(np.random.default_rng(0).integers(50, 200, (30, 30)) / 255, 40), False),
    ],
    ids=["label map", "black and white", "noise of whole numbers", "noise", "small picture on black"],
)
def test_masks_that_were_taken_for_images(image: np.ndarray, expected: bool) -> None:
    assert looks_like_a_mask(image) == expected


def test_every_kind_is_documented() -> None:
    table = (Path(__file__).parents[3] / "docs" / "check.md").read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f"| {kind}" not in table and f", {kind} |" not in table] == []
