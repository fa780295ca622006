"""Data sets of any organ, with the names that they have: nothing has to be renamed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

import kdseg
from kdseg.cli.main import main
from kdseg.data import MaskReader, load_datalist
from kdseg.data.layouts.layout import Found, Search
from kdseg.data.layouts.registry import LAYOUTS
from kdseg.data.lists.classes import label_numbers
from kdseg.data.prepare import Preparation, prepare
from kdseg.errors import UserError
from tests.bundles.volumes import SIZE, affine, organs, write_dicom, write_nifti
from tests.data.make_files import angiogram, mask_of, write_picture

SECTIONS = ("training", "validation", "test", "unlabelled")


def listed(source: Path, kind: str = "picture", classes: tuple[str, ...] = ("gland",), **settings: Any):
    """The preparation, and every record of the list by its case with its section."""
    out = source.parent / "list.json"
    result = prepare(source, out, task="own", kind=kind, classes=list(classes), **settings)
    found = {section: load_datalist(out, section) for section in SECTIONS}
    return result, {record["case"]: {**record, "section": part} for part in SECTIONS for record in found[part]}


def pictures(folder: Path, image: str, mask: str, count: int = 4, start: int = 0) -> None:
    for number in range(start, start + count):
        write_picture(folder / image.format(n=number), angiogram(seed=number))
        write_picture(folder / mask.format(n=number), mask_of(angiogram(seed=number)))


def volumes(folder: Path, image: str, mask: str, count: int = 4, values: tuple[int, ...] = (1, 2)) -> None:
    for number in range(count):
        volume, label = organs(values, number)
        write_nifti(folder / image.format(n=number), volume)
        write_nifti(folder / mask.format(n=number), label)


def labels_of(result: Preparation) -> dict[str, str]:
    return json.loads(result.datalist.read_text())["labels"]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("testA_{n}.bmp", "testA_{n}_anno.bmp"),
        ("case{n}/image.png", "case{n}/mask.png"),
        ("Image_{n}.jpg", "Mask_{n}.png"),
        ("a/imgs/{n}.png", "a/groundtruth/{n}.png"),
    ],
)
def test_names_that_are_known(source: Path, image: str, mask: str) -> None:
    pictures(source, image, mask)
    result, cases = listed(source)
    pairs = {(str(source / image.format(n=n)), str(source / mask.format(n=n))) for n in range(4)}
    assert result.problems == [] and {(record["image"], record["label"]) for record in cases.values()} == pairs


@pytest.mark.parametrize("suffix", ["_anno", "_manual1"])
def test_an_ending_of_masks_that_is_not_known(source: Path, suffix: str) -> None:
    pictures(source, "testA_{n}.bmp", f"testA_{{n}}{suffix}.bmp")
    result, cases = listed(source, mask_suffix=suffix)
    assert result.problems == [] and sorted(cases) == [f"testA_{number}" for number in range(4)]
    assert all(Path(record["label"]).stem == f"{case}{suffix}" for case, record in cases.items())


def test_an_unknown_ending_is_explained(source: Path) -> None:
    pictures(source, "testA_{n}.bmp", "testA_{n}_manual1.bmp")
    with pytest.raises(UserError, match=r"4 file\(s\) end in '_manual1' .* use --mask-suffix _manual1"):
        listed(source)


def test_two_observers_and_two_eyes(source: Path) -> None:
    """CHASE_DB1: a left and a right eye of each person, each drawn by two observers."""
    for side in "LR":
        pictures(source, f"Image_0{{n}}{side}.jpg", f"Image_0{{n}}{side}_1stHO.png", start=10 * (side == "R"))
    for number, path in enumerate(sorted(source.glob("*R.jpg"))):
        path.rename(source / f"Image_0{number}R.jpg")
    for number, path in enumerate(sorted(source.glob("*R_1stHO.png"))):
        path.rename(source / f"Image_0{number}R_1stHO.png")
    for path in sorted(source.glob("*_1stHO.png")):
        write_picture(source / path.name.replace("1st", "2nd"), np.asarray(Image.open(path)))
    result, cases = listed(source, mask_suffix="_1stHO", patient_pattern=r"Image_(\d+)[LR]")
    assert result.problems == [] and len(cases) == 8
    assert any(note.startswith("8 file(s)") and "made from a case" in note for note in result.notes)
    assert {record["patient"] for record in cases.values()} == {"00", "01", "02", "03"}
    assert "patients are told by the pattern (8 cases)" in result.notes
    assert all(cases[f"Image_0{n}L"]["section"] == cases[f"Image_0{n}R"]["section"] for n in range(4))


@pytest.mark.parametrize(("pattern", "told"), [("(", "regular expression"), ("Patient", "no match in 0.png")])
def test_patterns_that_do_not_help(source: Path, pattern: str, told: str) -> None:
    pictures(source, "{n}.png", "{n}_gt.png")
    with pytest.raises(UserError, match=told):
        listed(source, patient_pattern=pattern)


def test_instances_are_merged(source: Path) -> None:
    """GlaS as it is distributed: every gland has a number of its own."""
    for number in range(4):
        write_picture(source / f"train_{number}.bmp", angiogram(seed=number))
        glands = np.zeros((24, 40), np.uint8)
        for gland in range(1, 6):
            glands[2:20, 7 * gland - 5 : 7 * gland] = gland
        write_picture(source / f"train_{number}_anno.bmp", glands)
    with pytest.raises(UserError, match="values from 0 to 5"):
        listed(source)
    result, cases = listed(source, merge=["2-32=1"])
    assert result.problems == [] and len(cases) == 4
    numbers = label_numbers(result.datalist, ["gland"])
    assert numbers["orig_labels"] == list(range(33)) and set(numbers["target_labels"][1:]) == {1}


@pytest.mark.parametrize("rule", ["1-32", "x=1", "2-32=7"])
def test_rules_that_cannot_be_followed(source: Path, rule: str) -> None:
    pictures(source, "{n}.png", "{n}_gt.png")
    with pytest.raises(UserError, match="merge: found"):
        listed(source, merge=[rule])


@pytest.mark.parametrize("palette", [False, True])
def test_pictures_of_several_classes(source: Path, palette: bool) -> None:
    for number in range(4):
        write_picture(source / "images" / f"{number}.png", angiogram(seed=number))
        values = np.zeros((24, 40), np.uint8)
        values[3:9], values[12:15, 5:20] = 1, 2
        mask = Image.fromarray(values)
        if palette:
            mask.putpalette([0, 0, 0, 200, 9, 9, 9, 200, 9])
        (source / "masks").mkdir(exist_ok=True)
        mask.save(source / "masks" / f"{number}.png")
    (source / "labels.json").write_text('{"1": "cup", "2": "disc"}')
    result, cases = listed(source, classes=("disc", "cup"))
    assert result.problems == []
    mask = MaskReader(values=[0, 1, 2]).get_data([Path(cases["0"]["label"])])[0]
    assert np.bincount(mask.astype(int).ravel()).tolist() == [24 * 40 - 240 - 45, 240, 45]
    assert label_numbers(result.datalist, ["disc", "cup"])["target_labels"] == [0, 2, 1]
    with pytest.raises(UserError, match="without a name: 2"):
        MaskReader(values=[0, 1]).get_data([Path(cases["0"]["label"])])


def test_a_class_that_the_labels_lack(source: Path) -> None:
    pictures(source, "{n}.png", "{n}_gt.png")
    (source / "labels.json").write_text('{"1": "stenosis"}')
    with pytest.raises(UserError, match="no 'vessel' among stenosis; expected labels of all classes of the task"):
        listed(source, classes=("vessel",))
    result, _ = listed(source, classes=("vessel",), label_names={"1": "Vessel"})
    assert labels_of(result) == {"0": "background", "1": "Vessel"}


def test_names_match_in_any_form(source: Path) -> None:
    volumes(source, "{n}.nii.gz", "{n}_seg.nii.gz")
    (source / "labels.json").write_text('{"1": "kidney_right", "2": "inferior vena cava"}')
    result, _ = listed(source, "volume", ("right_kidney", "inferior_vena_cava"))
    assert label_numbers(result.datalist, ["right_kidney", "inferior_vena_cava"])["target_labels"] == [0, 1, 2]


@pytest.mark.parametrize("kind", ["picture", "volume"])
def test_a_division_into_folders_is_kept(source: Path, kind: str) -> None:
    for number, part in enumerate(("train", "train", "val", "test")):
        folder = source / part
        if kind == "picture":
            pictures(folder, "images/{n}.png", "masks/{n}.png", 1, number)
        else:
            volume, label = organs((1, 2), number)
            write_nifti(folder / "images" / f"{number}.nii.gz", volume)
            write_nifti(folder / "labels" / f"{number}.nii.gz", label)
    result, cases = listed(source, kind, ("a", "b") if kind == "volume" else ("a",))
    assert [cases[str(number)]["section"] for number in range(4)] == ["training", "training", "validation", "test"]
    assert any("division into test, training, validation is kept" in note for note in result.notes)


def test_a_patient_in_two_folders_of_a_division(source: Path) -> None:
    for number, part in enumerate(("train", "train", "train", "test")):
        pictures(source / part, f"p{number % 3}_{{n}}.png", f"p{number % 3}_{{n}}_gt.png", 1, number)
    result, cases = listed(source, patient_pattern=r"p(\d)_")
    (problem,) = result.problems
    assert problem["kind"] == "one patient in several parts" and problem["case"] == "p0_0"
    assert cases["p0_3"]["section"] == "test"


def test_a_set_that_is_only_tested_on(source: Path) -> None:
    pictures(source, "{n}.png", "{n}_gt.png")
    result, _ = listed(source, fractions=(0, 0, 1))
    assert result.counts == {"training": 0, "validation": 0, "test": 4, "unlabelled": 0}


def test_what_is_left_over_is_grouped_and_explained(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures(source, "images/{n}.png", "masks/{n}.png")
    for number in range(30):
        write_picture(source / "images" / f"scan_{number:03d}.png", angiogram(seed=100 + number))
        write_picture(source / "masks" / f"scn_{number:03d}.png", mask_of(angiogram(seed=100 + number)))
    assert main(["prepare", "coronary_angiogram", str(source), "--out", str(source.parent / "list.json")]) == 1
    printed = capsys.readouterr().out
    assert "left out (60):" in printed and "no mask (30)" in printed and "a mask without an image (30)" in printed
    assert "scan_000.png; the nearest name is masks/scn_000.png" in printed
    assert "… and 27 more" in printed and len(printed.splitlines()) < 20


def test_a_table(source: Path) -> None:
    pictures(source / "x", "{n}.png", "{n}.tif")
    (source / "x" / "4.png").write_bytes((source / "x" / "0.png").read_bytes()[:300])
    rows = ["image;label;patient;section;case"]
    rows += [f"x/{n}.png;x/{n}.tif;p{n};{'test' if n == 3 else 'train'};case {n}" for n in range(4)]
    rows += ["x/4.png;;;;alone", "x/5.png;x/5.tif;;;gone"]
    table = source / "cases.csv"
    table.write_text("\n".join(rows))
    result, cases = listed(table.rename(source.parent / "source" / "table.csv"))
    assert {problem["case"]: problem["kind"] for problem in result.problems} == {
        "gone": "no such file",
        "alone": "image unusable",
    }
    assert cases["case 3"]["section"] == "test" and cases["case 1"]["patient"] == "p1"
    assert json.loads(result.datalist.read_text())["root"] == "."


@pytest.mark.parametrize("text", ["", "path,label\na,b", "\x00\x01"])
def test_tables_that_are_none(source: Path, text: str) -> None:
    source.mkdir()
    (source / "table.csv").write_text(text)
    with pytest.raises(UserError, match="a table that cannot be used"):
        listed(source / "table.csv")


def nnunet(source: Path, labels: dict[str, Any], **more: Any) -> None:
    source.mkdir(parents=True, exist_ok=True)
    content = {"channel_names": {"0": "T2"}, "labels": labels, "numTraining": 4, "file_ending": ".nii.gz"}
    (source / "dataset.json").write_text(json.dumps(content | more))


def test_nnunets_raw_layout(source: Path) -> None:
    volumes(source, "imagesTr/pro_{n:03d}_0000.nii.gz", "labelsTr/pro_{n:03d}.nii.gz")
    for path in sorted((source / "imagesTr").iterdir()):
        (source / "imagesTr" / path.name.replace("_0000", "_0001")).write_bytes(path.read_bytes())
    volume, label = organs((1, 2), 9)
    write_nifti(source / "imagesTs" / "pro_009_0000.nii.gz", volume)
    write_nifti(source / "imagesTs" / "pro_010_0000.nii.gz", organs((1, 2), 10)[0])
    write_nifti(source / "labelsTs" / "pro_009.nii.gz", label)
    nnunet(source, {"background": 0, "zone": 1, "gland": 2}, channel_names={"0": "T2", "1": "ADC"})
    result, cases = listed(source, "volume", ("gland",))
    assert result.problems == [] and sorted(cases) == [f"pro_{n:03d}" for n in (0, 1, 2, 3, 9, 10)]
    assert cases["pro_009"]["section"] == "test" and cases["pro_010"]["section"] == "unlabelled"
    assert any("of 2 channels (T2, ADC) the first is taken" in note for note in result.notes)
    assert labels_of(result) == {"0": "background", "1": "zone", "2": "gland"}


def test_nnunets_pictures_with_pixels_to_ignore(source: Path) -> None:
    for number in range(3):
        values = mask_of(angiogram(seed=number)) // 255
        values[:3] = 2
        write_picture(source / "imagesTr" / f"{number}_0000.png", angiogram(seed=number))
        write_picture(source / "labelsTr" / f"{number}.png", values)
    nnunet(source, {"background": 0, "vessel": 1, "ignore": 2}, file_ending=".png")
    result, cases = listed(source, classes=("vessel",))
    assert result.problems == [] and len(cases) == 3 and labels_of(result)["2"] == "ignored"


def test_nnunets_regions_are_refused(source: Path) -> None:
    volumes(source, "imagesTr/{n}_0000.nii.gz", "labelsTr/{n}.nii.gz")
    nnunet(source, {"background": 0, "whole": [1, 2], "core": 2})
    with pytest.raises(UserError, match="the region whole, which overlaps others"):
        listed(source, "volume", ("core",))


def test_the_decathlons_layout(source: Path) -> None:
    volumes(source, "imagesTr/liver_{n}.nii.gz", "labelsTr/liver_{n}.nii.gz")
    write_nifti(source / "imagesTs" / "liver_9.nii.gz", organs((1, 2), 9)[0])
    (source / "imagesTr" / "._liver_0.nii.gz").write_bytes(b"what a Mac adds")
    content = {
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "liver", "2": "cancer"},
        "training": [
            {"image": f"./imagesTr/liver_{n}.nii.gz", "label": f"./labelsTr/liver_{n}.nii.gz"} for n in range(4)
        ],
        "test": ["./imagesTs/liver_9.nii.gz"],
    }
    (source / "dataset.json").write_text(json.dumps(content))
    result, cases = listed(source, "volume", ("liver", "cancer"))
    assert result.problems == [] and cases["liver_9"]["section"] == "unlabelled" and len(cases) == 5


@pytest.mark.parametrize(
    "mask",
    [
        "{case}.nii.gz",
        "{case}_label.nii.gz",
        "labels/{case}.nii.gz",
        "{case}/mask.nii.gz",
        "{case}/drawn by me.nii.gz",
        "{case}/masks/7.nii.gz",
    ],
)
@pytest.mark.parametrize("folder", ["", "dicom"])
def test_a_nifti_file_beside_dicom_is_its_label(source: Path, folder: str, mask: str) -> None:
    for number in range(3):
        volume, label = organs((1, 2), number)
        write_dicom(source / f"case{number}" / folder, volume, "MR", f"patient {number}")
        write_nifti(source / mask.format(case=f"case{number}"), label)
    result, cases = listed(source, "volume", ("a", "b"), modality=["MR"])
    assert result.problems == [] and result.counts["unlabelled"] == 0 and len(cases) == 3
    for case, record in cases.items():
        assert case in record["image"] and record["label"] == str(source / mask.format(case=case))
        assert record["labelled_slices"] == 4


def test_two_labels_beside_dicom(source: Path) -> None:
    for number in range(3):
        volume, label = organs((1, 2), number)
        write_dicom(source / f"case{number}", volume, "MR", f"patient {number}")
        write_nifti(source / f"case{number}" / "mine.nii.gz", label)
        # the same one twice is no fault
        write_nifti(source / f"case{number}" / "theirs.nii.gz", label if number else label.clip(0, 1))
    result, cases = listed(source, "volume", ("a", "b"), fractions=(0.5, 0, 0.5))
    assert [problem["kind"] for problem in result.problems] == ["more than one mask"] and len(cases) == 2


@pytest.mark.parametrize("head_first", [False, True])
def test_mask_pictures_beside_a_dicom_series(source: Path, head_first: bool) -> None:
    """CHAOS: a folder of slices and a folder of masks, in the order of their names."""
    for number in range(3):
        volume, label = organs((63, 126), number)
        folder = write_dicom(source / str(number) / "DICOM_anon", volume, "MR", f"patient {number}")
        slices = sorted(folder.iterdir(), key=lambda path: _height(path))
        if head_first:
            slices = slices[::-1]
        for place, path in enumerate(slices):
            path.rename(folder / f"i{place:04d},0000b.dcm")
        for place in range(SIZE[2]):
            shown = label[..., SIZE[2] - 1 - place if head_first else place]
            write_picture(source / str(number) / "Ground" / f"liver_GT_{place:03d}.png", shown.T)
    result, cases = listed(source, "volume", ("liver", "spleen"), label_names={"63": "liver", "126": "spleen"})
    assert result.problems == [] and sorted(cases) == ["0_DICOM_anon", "1_DICOM_anon", "2_DICOM_anon"]
    for number in range(3):
        record = cases[f"{number}_DICOM_anon"]
        assert Path(record["label"]).parent == source.parent / "list_masks"
        stored = nibabel.load(record["label"])
        volume, label = organs((63, 126), number)
        turned = nibabel.as_closest_canonical(stored).get_fdata()
        expected = nibabel.as_closest_canonical(nibabel.load(write_nifti(source.parent / "l.nii.gz", label)))
        np.testing.assert_array_equal(turned, expected.get_fdata())


def _height(path: Path) -> float:
    import pydicom

    return float(pydicom.dcmread(path, stop_before_pixels=True).ImagePositionPatient[2])


def test_a_stack_that_lacks_a_mask(source: Path) -> None:
    for number in range(3):
        volume, label = organs((1, 2), number)
        write_dicom(source / str(number) / "DICOM_anon", volume, "MR", f"patient {number}")
        for place in range(SIZE[2] - (number == 1)):
            write_picture(source / str(number) / "Ground" / f"{place}.png", label[..., place].T)
    result, cases = listed(source, "volume", ("a", "b"), fractions=(0.5, 0, 0.5))
    assert [problem["reason"] for problem in result.problems] == ["5 mask pictures for 6 slices"] and len(cases) == 2


def test_a_mask_never_becomes_an_image(source: Path) -> None:
    volumes(source, "{n}.nii.gz", "{n}_seg.nii.gz")
    _, label = organs((1, 2), 9)
    write_nifti(source / "somebody's work.nii.gz", label)
    result, cases = listed(source, "volume", ("a", "b"))
    assert [problem["kind"] for problem in result.problems] == ["image that looks like a mask"]
    assert result.counts["unlabelled"] == 0 and len(cases) == 4


def test_own_layouts(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LAYOUTS, "_objects", dict(LAYOUTS))
    monkeypatch.setattr(LAYOUTS, "_sources", {})

    @kdseg.register_layout("pairs", labels={"0": "background", "255": "thing"})
    def find(search: Search) -> Found:
        images = sorted(search.source.glob("*.x.png"))
        masks = [path.with_name(path.name.replace(".x.", ".y.")) for path in images]
        return Found(
            [
                {"image": str(image), "label": str(mask), "case": image.stem}
                for image, mask in zip(images, masks, strict=True)
            ]
        )

    pictures(source, "{n}.x.png", "{n}.y.png")
    result, cases = listed(source, classes=("thing",), layout="pairs")
    assert result.problems == [] and len(cases) == 4 and labels_of(result)["255"] == "thing"
    with pytest.raises(UserError, match="did you mean 'pairs'"):
        listed(source, layout="pair")


def test_errors_that_are_accepted(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    volumes(source, "img/img{n:04d}.nii.gz", "label/label{n:04d}.nii.gz", values=tuple(range(1, 14)))
    moved = affine()
    moved[0, 3] += 5
    label = nibabel.Nifti1Image(organs(range(1, 14), 2)[1], moved)
    nibabel.save(label, source / "label" / "label0002.nii.gz")
    command = ["prepare", "synapse_multiorgan", str(source), "--out", str(source.parent / "list.json")]
    assert main([*command, "--json"]) == 1
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem["kind"] == "affine of the label differs" and problem["case"] == "img0002"
    assert main([*command, "--accept", "affine-of-the-label-differs"]) == 0
    assert "note: affine of the label differs (1), for example img0002" in capsys.readouterr().out
    assert main(["check", str(source.parent / "list.json")]) == 0
    assert main([*command, "--accept", "affine differs"]) == 2
    assert "did you mean 'affine of the label differs'" in capsys.readouterr().err
