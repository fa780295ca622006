"""The public sets of angiograms, as their owners distribute them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kdseg.data import MaskReader
from kdseg.data.layouts.coco import draw_polygons
from tests.data.make_files import angiogram, mask_of, prepared, write_case, write_picture


def arcade(folder: Path, split: str, seed: int, categories: list[dict], category: int) -> None:
    write_picture(folder / split / "images" / "1.png", angiogram(seed=seed))
    annotation = {"image_id": 5, "category_id": category, "segmentation": [[4, 2, 10, 2, 10, 20, 4, 20]]}
    content = {
        "images": [{"id": 5, "file_name": "1.png", "width": 40, "height": 24}],
        "categories": categories,
        "annotations": [annotation],
    }
    (folder / split / "annotations").mkdir(parents=True)
    (folder / split / "annotations" / f"{split}.json").write_text(json.dumps(content))


def test_arcade(source: Path):
    categories = [{"id": 1, "name": "1"}, {"id": 6, "name": "6"}, {"id": 26, "name": "stenosis"}]
    for seed, split in enumerate(("train", "val", "test")):
        arcade(source / "syntax", split, seed, categories, 1 if split == "train" else 6)
        arcade(source / "stenosis", split, seed + 10, categories, 26)
    result, _, sections = prepared(source)
    assert result.problems == []
    assert {name: len(records) for name, records in sections.items() if records} == {
        "training": 1,
        "validation": 1,
        "test": 1,
    }
    record = sections["training"][0]
    assert "syntax" in record["image"] and "train" in record["image"]
    assert Path(record["label"]).is_relative_to(source.parent / "lists" / "list_masks")
    mask = MaskReader().get_data([Path(record["label"])])[0]
    assert mask.shape == (1, 40, 24) and mask.sum() == 6 * 18 and mask[0, 4:10, 2:20].all()
    assert sum("annotates no vessel in 1 image" in note for note in result.notes) == 3


@pytest.mark.parametrize("text", ["{", '{"images": [{}], "annotations": [], "categories": []}'])
def test_damaged_annotations_are_reported(source: Path, text: str):
    for number in range(3):
        write_case(source, str(number), number)
    (source / "annotations.json").write_text(text)
    result, cases, _ = prepared(source)
    assert len(cases) == 3
    assert [problem["file"] for problem in result.problems] == ["annotations.json"]


def test_polygon_covers_the_pixels_whose_centre_is_within():
    mask = draw_polygons([[1, 1, 3, 1, 3, 3, 1, 3]], 5, 4)
    assert np.argwhere(mask).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    with pytest.raises(ValueError, match="three points"):
        draw_polygons([[1, 1, 2, 2]], 5, 5)


def test_arcades_second_task(source: Path):
    categories = [{"id": 1, "name": "1"}, {"id": 26, "name": "stenosis"}]
    for seed, split in enumerate(("train", "val", "test")):
        arcade(source / "stenosis", split, seed, categories, 26)
    result, _, sections = prepared(source / "stenosis", classes=["stenosis"])
    assert result.problems == [] and [len(sections[name]) for name in ("training", "validation", "test")] == [1, 1, 1]
    content = json.loads(result.datalist.read_text())
    assert content["labels"] == {"0": "background", "1": "stenosis"}


def test_xcad(source: Path):
    for number in range(3):
        write_picture(source / "test" / "images" / f"{number}_33.png", angiogram(seed=number))
        write_picture(source / "test" / "masks" / f"{number}_33.png", mask_of(angiogram(seed=number)))
        for part, folder in enumerate(("trainA", "trainB", "trainC"), start=1):
            write_picture(source / "train" / folder / f"{number}.png", angiogram(seed=10 * part + number))
    result, cases, sections = prepared(source)
    assert result.problems == [] and len(cases) == 3
    assert {Path(record["image"]).parent.name for record in sections["unlabelled"]} == {"trainB"}
    assert any("6 picture(s) of trainA and trainC" in note for note in result.notes)
