"""``kdseg prepare gastric_pathology``: the layouts that people have, and what is checked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from kdseg.cli.main import main
from kdseg.data import MaskReader, load_datalist
from kdseg.phantom import make_field, write_pathology_set
from tests.data.make_files import prepare_task

TASK = "gastric_pathology"


def write(folder: Path, image: str, mask: str | None, seed: int, ignored: bool = False) -> None:
    """A field and its mask as files of these names."""
    field, tumour = make_field(48, seed)
    values = tumour.astype(np.uint8) * 255
    if ignored:
        values[:24, :24] = 128
    for name, array in ((image, field), (mask, values)):
        if name is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(folder / name)


def records(list_file: Path) -> dict[str, dict]:
    content = json.loads(list_file.read_text())
    return {record["case"]: record for part in ("training", "validation", "test") for record in content[part]}


def test_pictures_tiff_and_slides(tmp_path: Path) -> None:
    write_pathology_set(tmp_path / "data", count=8, unlabelled=2, size=64)
    result = prepare_task(TASK, tmp_path / "data", tmp_path / "list.json")
    assert result.problems == [] and sum(result.counts.values()) == 10 and result.counts["unlabelled"] == 2
    content = json.loads((tmp_path / "list.json").read_text())
    assert content["labels"] == {"0": "background", "1": "tumour"}
    assert len({record["patient"] for record in records(tmp_path / "list.json").values()}) == 8
    assert "PHANTOM" not in (tmp_path / "list.json").read_text(), "a patient id is hashed"


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{n}.tiff", "{n}_mask.png"),
        ("images/{n}.png", "masks/{n}.png"),
        ("{n}.jpg", "{n}.png"),
        ("train/{n}.jpg", "train/{n}.png"),
        ("image/{n}.tif", "label/{n}.tif"),
    ],
)
def test_layouts(tmp_path: Path, image: str, mask: str) -> None:
    for n in range(4):
        write(tmp_path / "data", image.format(n=n), mask.format(n=n), n)
    result = prepare_task(TASK, tmp_path / "data", tmp_path / "list.json")
    assert result.problems == []
    for case, record in records(tmp_path / "list.json").items():
        assert (record["image"], record["label"]) == (image.format(n=case), mask.format(n=case))


def test_a_published_division_is_kept(tmp_path: Path) -> None:
    for n in range(6):
        part = "test" if n < 2 else "train"
        write(tmp_path / "data", f"{part}/{n}.jpg", f"{part}/{n}.png", n)
    prepare_task(TASK, tmp_path / "data", tmp_path / "list.json")
    tested = load_datalist(tmp_path / "list.json", "test")
    assert sorted(record["case"] for record in tested) == ["0", "1"]


def test_patients_by_folder(tmp_path: Path) -> None:
    for patient in "abcd":
        for n in range(2):
            write(tmp_path / "data", f"{patient}/{n}.tiff", f"{patient}/{n}_mask.png", ord(patient) * 2 + n)
    prepare_task(TASK, tmp_path / "data", tmp_path / "list.json")
    assert sorted(record["patient"] for record in records(tmp_path / "list.json").values()) == sorted("abcd" * 2)


def test_fields_without_or_full_of_tumour_are_fine(tmp_path: Path) -> None:
    for n in range(3):
        write(tmp_path / "data", f"{n}.png", f"{n}_mask.png", n)
    for n, value in ((3, 0), (4, 255)):
        write(tmp_path / "data", f"{n}.png", None, n)
        Image.fromarray(np.full((48, 48), value, np.uint8)).save(tmp_path / "data" / f"{n}_mask.png")
    assert prepare_task(TASK, tmp_path / "data", tmp_path / "list.json").problems == []


def test_ignored_pixels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for n in range(4):
        write(tmp_path / "data", f"{n}.png", f"{n}_mask.png", n, ignored=n == 2)
    Image.fromarray(np.full((48, 48), 128, np.uint8)).save(tmp_path / "data" / "3_mask.png")
    command = [
        "prepare",
        TASK,
        str(tmp_path / "data"),
        "--out",
        str(tmp_path / "list.json"),
        "--fractions",
        "0.5",
        "0.5",
        "0",
    ]
    assert main([*command, "--json"]) == 1
    reasons = {problem["case"]: problem["reason"] for problem in json.loads(capsys.readouterr().out)["problems"]}
    assert "third value 128" in reasons["2"]
    assert main([*command, "--json", "--ignored", "128"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert [problem["reason"] for problem in printed["problems"]] == ["every pixel of the mask is to be ignored"]
    content = json.loads((tmp_path / "list.json").read_text())
    assert content["labels"]["128"] == "ignored"
    mask, _ = MaskReader(frame=0, ignored=128).get_data([tmp_path / "data" / "2_mask.png"])
    assert (mask == 255).sum() == 24 * 24


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    for n in range(4):
        write(tmp_path / "data", f"images/{n}.png", f"masks/{n}.png", n)
    write(tmp_path / "data", "images/copy.png", "masks/copy.png", 0)
    write(tmp_path / "data", "images/alone.png", None, 9)
    field, _ = make_field(48, 20)
    tifffile.imwrite(tmp_path / "data" / "images" / "small.tiff", field)
    Image.fromarray(np.zeros((40, 48), np.uint8)).save(tmp_path / "data" / "masks" / "small.png")
    (tmp_path / "data" / "images" / "torn.png").write_bytes((tmp_path / "data" / "images" / "0.png").read_bytes()[:400])
    (tmp_path / "data" / "masks" / "torn.png").write_bytes((tmp_path / "data" / "masks" / "0.png").read_bytes())
    result = prepare_task(TASK, tmp_path / "data", tmp_path / "list.json")
    reasons = {problem["case"]: problem["reason"] for problem in result.problems}
    assert reasons.keys() == {"copy", "alone", "small", "torn"}
    assert "the same values" in reasons["copy"] and reasons["alone"] == "no mask"
    assert "48×40" in reasons["small"] and "cannot be decoded" in reasons["torn"]
