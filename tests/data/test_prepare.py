from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kdseg.cli.main import main
from kdseg.errors import UserError
from tests.data.make_files import (
    TASK,
    angiogram,
    mask_of,
    prepare_task,
    prepared,
    write_case,
    write_dicom,
    write_picture,
)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/{stem}.png", "masks/{stem}.png"),
        ("images/{stem}.png", "labels/{stem}_mask.bmp"),
        ("Images/{stem}.bmp", "GT/{stem}_gt.gif"),
        ("{stem}.png", "masks/{stem}.tif"),
        ("{stem}.png", "{stem}_gt.png"),
        ("{stem}.pgm", "{stem}_gt.pgm"),  # DCA1
        ("{stem}.png", "{stem}-label.png"),
        ("images/{stem}.png", "images/{stem}_seg.png"),
        ("run/images/{stem}.png", "run/annotations/{stem}.png"),
    ],
)
def test_layouts(source: Path, image: str, mask: str):
    for number in (1, 2, 10):
        write_case(source, str(number), number, mask, image)
    result, cases, _ = prepared(source)
    assert result.problems == [] and sorted(cases) == ["1", "10", "2"]
    for stem, record in cases.items():
        assert record["image"] == str(source / image.format(stem=stem))
        assert record["label"] == str(source / mask.format(stem=stem))
        assert record["patient"] == stem and len(record["sha256"]) == 64


def test_dicom_with_a_picture_of_the_same_stem(source: Path):
    for number in range(3):
        picture = angiogram(seed=number)
        write_dicom(source / f"{number}.dcm", picture)
        write_picture(source / f"{number}.png", mask_of(picture))
    result, cases, _ = prepared(source)
    assert result.problems == []
    assert cases["1"]["image"].endswith("1.dcm") and cases["1"]["label"].endswith("1.png")


def test_list_is_complete_and_portable(source: Path):
    for number in range(5):
        write_case(source, str(number), number)
    write_picture(source / "unlabelled" / "1.png", angiogram(seed=99))
    _, _, sections = prepared(source, seed=7)
    content = json.loads((source.parent / "lists" / "list.json").read_text())
    assert content["root"] == "../source" and content["seed"] == 7 and content["task"] == TASK
    assert content["labels"] == {"0": "background", "1": "vessel"}
    assert not any("label" in record for record in content["unlabelled"])
    first = content["training"][0]
    assert set(first) == {"image", "label", "case", "patient", "fold", "sha256"}
    assert first["image"].startswith("images/")
    # the stem is taken by a labelled case
    assert [record["case"] for record in sections["unlabelled"]] == ["unlabelled_1"]


def test_published_folders_are_kept(source: Path):
    for seed, name in enumerate(("train", "train", "train", "test")):
        write_case(source / name, f"c{seed}", seed)
    result, _, sections = prepared(source)
    assert [record["case"] for record in sections["test"]] == ["c3"]
    assert any("test, training is kept" in note for note in result.notes)


def test_patient_folders(source: Path):
    for number in range(8):
        write_case(source / "data" / f"patient{number // 2}", str(number), number)
    _, cases, sections = prepared(source)
    assert {record["patient"] for record in cases.values()} == {f"patient{i}" for i in range(4)}
    tested = {record["patient"] for record in sections["test"]}
    assert not tested & {record["patient"] for record in sections["training"] + sections["validation"]}


def test_dicom_patients_are_hashed(source: Path):
    for number in range(8):
        picture = angiogram(seed=number)
        write_dicom(source / "images" / f"{number}.dcm", picture, PatientID=f"ID-{number // 2}")
        write_picture(source / "masks" / f"{number}.png", mask_of(picture))
    _, cases, _ = prepared(source)
    assert len({record["patient"] for record in cases.values()}) == 4
    assert cases["0"]["patient"] == cases["1"]["patient"]
    text = (source.parent / "lists" / "list.json").read_text()
    assert "ID-" not in text and "Secret" not in text


def test_one_dicom_patient_for_all_counts_as_unknown(source: Path):
    for number in range(4):
        picture = angiogram(seed=number)
        write_dicom(source / f"{number}.dcm", picture, PatientID="anonymous")
        write_picture(source / f"{number}_gt.png", mask_of(picture))
    result, cases, _ = prepared(source)
    assert len({record["patient"] for record in cases.values()}) == 4
    assert any("the file itself" in note for note in result.notes)


def test_unlabelled_pictures_of_test_patients_are_left_aside(source: Path):
    for patient in range(4):
        for number in range(2):
            write_dicom(
                source / "images" / f"{patient}{number}.dcm",
                angiogram(seed=10 * patient + number),
                PatientID=f"x{patient}",
            )
            write_picture(source / "masks" / f"{patient}{number}.png", mask_of(angiogram(seed=10 * patient + number)))
        write_dicom(
            source / "unlabelled" / f"u{patient}.dcm", angiogram(seed=10 * patient + 5), PatientID=f"x{patient}"
        )
    result, _, sections = prepared(source)
    assert len(sections["unlabelled"]) == 3
    assert any("1 unlabelled image(s)" in note for note in result.notes)


def break_case(source: Path, what: str) -> None:
    image, mask = source / "images" / "bad.png", source / "masks" / "bad.png"
    picture = angiogram(seed=77)
    write_case(source, "bad", 77)
    if what == "truncated":
        image.write_bytes(image.read_bytes()[:300])
    elif what == "grey":
        write_picture(image, np.full_like(picture, 9))
    elif what == "size":
        write_picture(mask, mask_of(picture)[:-2])
    elif what == "empty mask":
        write_picture(mask, np.zeros_like(picture))
    elif what == "inverted":
        write_picture(mask, 255 - mask_of(picture))
    elif what == "classes":
        write_picture(mask, mask_of(picture) // 255 * 7)
    elif what == "third value":
        values = mask_of(picture)
        values[:, :2] = 100
        write_picture(mask, values)
    elif what == "copy":
        write_picture(image, angiogram(seed=0))
    elif what == "no mask":
        mask.unlink()
    elif what == "no image":
        image.unlink()
    elif what == "two masks":
        write_picture(source / "labels" / "bad.png", mask_of(angiogram(width=42, seed=1)[:, 2:]))


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("truncated", "cannot be decoded"),
        ("grey", "image of a single value"),
        ("size", "the mask is 40×22 pixels and the image 40×24"),
        ("empty mask", "the mask is empty"),
        ("inverted", "seems to be inverted"),
        ("classes", "values from 0 to 7"),
        ("third value", "a third value 100"),
        ("copy", "the same values as case 0"),
        ("no mask", "no mask"),
        ("no image", "a mask without an image"),
        ("two masks", "more than one mask"),
    ],
)
def test_what_fails_is_left_out_with_its_reason(source: Path, what: str, reason: str, capsys: pytest.CaptureFixture):
    for number in range(4):
        write_case(source, str(number), number)
    break_case(source, what)
    out = source.parent / "list.json"
    assert main(["prepare", TASK, str(source), "--out", str(out)]) == 1
    printed = capsys.readouterr().out
    assert reason in printed and "bad" in printed and "left out (1)" in printed
    written = json.loads(out.read_text())
    assert sum(len(written[section]) for section in ("training", "validation", "test")) == 4


def test_stray_greys_of_jpeg_masks_are_fine(source: Path):
    for number in range(4):
        write_case(source, str(number), number, mask="masks/{stem}.jpg")
    result, cases, _ = prepared(source)
    assert result.problems == [] and len(cases) == 4


def test_of_copies_the_test_case_stays(source: Path):
    for seed, (folder, stem) in enumerate([("train", "a"), ("train", "b"), ("train", "c"), ("test", "d")]):
        write_case(source / folder, stem, seed)
    write_case(source / "train", "copy", 3)
    result, _, sections = prepared(source)
    assert [problem["case"] for problem in result.problems] == ["copy"]
    assert [record["case"] for record in sections["test"]] == ["d"]


def test_patient_in_two_published_sections(source: Path):
    for seed, folder in enumerate(("train/p1", "train/p2", "train/p3", "test/p1")):
        write_case(source / folder, f"c{seed}", seed)
    result, _, sections = prepared(source)
    assert [problem["case"] for problem in result.problems] == ["c0"]
    assert [record["case"] for record in sections["test"]] == ["c3"]


def test_labelled_cine_is_remarked(source: Path):
    for number in range(3):
        frames = np.stack([np.full((24, 40), 200, dtype=np.uint8), angiogram(seed=number)])
        write_dicom(source / f"{number}.dcm", frames)
        write_picture(source / f"{number}.png", mask_of(frames[1]))
    result, _, _ = prepared(source, frame=1)
    assert any("frame '1'" in note for note in result.notes)


def test_real_angiograms(shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    out = tmp_path / "angio.json"
    assert main(["prepare", TASK, str(shared_data / "angiograms"), "--out", str(out), "--json", "--frame", "0"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["counts"] == {"training": 24, "validation": 8, "test": 8, "unlabelled": 60}
    assert printed["problems"] == []
    assert any("cine_96_frames_jpeg.dcm" in note for note in printed["notes"])


def test_bad_input(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    out = ["--out", str(tmp_path / "x.json")]
    assert main(["prepare", TASK, str(source), *out]) == 2
    assert "no such file or folder" in capsys.readouterr().err
    source.mkdir()
    (source / "notes.txt").write_text("hello")
    assert main(["prepare", TASK, str(source), *out]) == 2
    assert "found no images" in capsys.readouterr().err
    write_picture(source / "1.png", angiogram())
    assert main(["prepare", TASK, str(source), *out]) == 2
    assert "no image with a usable mask" in capsys.readouterr().err
    assert main(["prepare", "coronary_angiograms", str(source), *out]) == 2
    assert "did you mean 'coronary_angiogram'" in capsys.readouterr().err
    assert not (tmp_path / "x.json").exists()


def test_damaged_dicom_is_left_out(shared_data: Path, source: Path):
    for number in range(3):
        write_case(source, str(number), number)
    for file in (shared_data / "dicom_bad").glob("*.dcm"):
        target = source / "unlabelled" / file.name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(file.read_bytes())
    result, cases, sections = prepared(source)
    assert len(cases) == 3
    assert sorted(record["case"] for record in sections["unlabelled"]) == ["bad_sequence", "emri_small_big_endian"]
    assert len(result.problems) == 8


def test_frame_all_is_refused(source: Path):
    with pytest.raises(UserError, match="a mask belongs to one frame"):
        prepare_task(TASK, source, source / "x.json", frame="all")
