"""The check of a data list finds each fault that is put into a clean set, and nothing in the clean set."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from kdseg.cli.main import main
from kdseg.data.checks.report import check_datalist
from tests.data.make_files import angiogram, mask_of, write_dicom, write_picture
from tests.data.make_series import straight, write_series, write_structures

SHAPE, COUNT = (14, 12, 9), 10
LABELS = {"0": "background", "1": "right_kidney", "2": "left_kidney"}
# stored to the left and posterior, as most CT is; 0.8 × 0.7 × 2 mm
AFFINE = np.array([[-0.8, 0, 0, 5], [0, -0.7, 0, 6], [0, 0, 2, -7], [0, 0, 0, 1.0]])
Cases = list[dict[str, Any]]


def volume_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 30, SHAPE).astype(np.float32)


def label_of(seed: int) -> np.ndarray:
    label = np.zeros(SHAPE, dtype=np.uint8)
    # the first axis runs to the left
    label[2:5, 3:7, 2 : 5 + seed % 2] = 1
    label[9:12, 3:7, 2 : 5 + seed % 2] = 2
    return label


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> str:
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    return path.name


def clean_set(folder: Path) -> Cases:
    return [
        {
            "case": f"case{index}",
            "patient": f"p{index}",
            "image": save(folder / f"i{index}.nii.gz", volume_of(index)),
            "label": save(folder / f"l{index}.nii.gz", label_of(index)),
        }
        for index in range(COUNT)
    ]


def write_list(folder: Path, cases: Cases, labels: dict[str, str] = LABELS, **more: Any) -> Path:
    path = folder / "list.json"
    content = {"labels": labels, "training": cases[:7], "validation": [], "test": cases[7:], **more}
    path.write_text(json.dumps(content))
    return path


def flipped(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same voxels stored to the other side."""
    affine = AFFINE.copy()
    affine[0] = [0.8, 0, 0, 5 - 0.8 * (SHAPE[0] - 1)]
    return array[::-1].copy(), affine


def moved(x: float) -> np.ndarray:
    affine = AFFINE.copy()
    affine[0, 3] += x
    return affine


def other_grid(x: float) -> np.ndarray:
    return moved(x) @ np.diag([1, 1, 0.5, 1])


def test_clean_set_has_no_findings_and_right_figures(tmp_path) -> None:
    report = check_datalist(write_list(tmp_path, clean_set(tmp_path)))
    assert report.findings == [] and report.counts == {"training": 7, "test": 3}
    case = report.cases[1]
    assert case.shape == SHAPE and case.spacing == pytest.approx((0.8, 0.7, 2)) and case.orientation == "LPS"
    right = case.structures["right_kidney"]
    # 3 × 4 × 4 voxels of 0.8 × 0.7 × 2 mm
    assert right.unit == "ml" and right.size == pytest.approx(48 * 1.12 / 1000)
    centre = AFFINE @ [3, 4.5, 3.5, 1]
    assert right.centre == pytest.approx(tuple(centre[:3]), abs=0.01)
    values = volume_of(1)
    assert case.intensity["max"] == pytest.approx(float(values.max()))
    assert case.intensity["median"] == pytest.approx(float(np.median(values)), rel=1e-4)


def put(name: str, array: np.ndarray, affine: np.ndarray = AFFINE) -> Callable[[Path, Cases], None]:
    """Put another file in the place of a file of case 8."""
    return lambda folder, cases: save(folder / cases[8][name], array, affine) and None


def drop_file(folder: Path, cases: Cases) -> None:
    (folder / cases[8]["image"]).unlink()


def same_patient(folder: Path, cases: Cases) -> None:
    cases[8]["patient"] = cases[0]["patient"]


def at_border(label: np.ndarray) -> np.ndarray:
    label[9:, 3:7, 2:5] = 2
    return label


def without(label: np.ndarray, value: int) -> np.ndarray:
    return np.where(label == value, 0, label).astype(np.uint8)


def exchanged(label: np.ndarray) -> np.ndarray:
    return np.array([0, 2, 1], dtype=np.uint8)[label]


def large(label: np.ndarray) -> np.ndarray:
    label[2:6, 1:11, 1:8] = 1
    return label


FAULTS = {
    "image gone": (drop_file, "error", "image unusable", "no such file"),
    "flipped label": (
        put("label", *flipped(label_of(8))),
        "warning",
        "label stored in another orientation",
        "stored as RPS and the image as LPS: left and right turned",
    ),
    "lost affine": (put("label", label_of(8), np.eye(4)), "error", "affine of the label differs", "is the identity"),
    "moved label": (put("label", label_of(8), moved(3)), "error", "affine of the label differs", "3.0 mm apart"),
    "finer label": (
        put("label", np.repeat(label_of(8), 2, axis=2), other_grid(0)),
        "warning",
        "label on another grid",
        "14×12×18, the image 14×12×9",
    ),
    "label beside": (
        put("label", np.repeat(label_of(8), 2, axis=2), other_grid(-6)),
        "error",
        "label outside the image",
        "50% of the label",
    ),
    "label far": (put("label", label_of(8), moved(500)), "error", "label unusable", "lies outside its image"),
    "empty label": (put("label", label_of(8) * 0), "error", "empty label", "nothing but background"),
    "unnamed value": (put("label", label_of(8) * 3), "error", "label values without a name", "3, 6"),
    "no class numbers": (put("label", label_of(8) * 0.3), "error", "label unusable", "no whole numbers"),
    "mirrored": (
        put("label", exchanged(label_of(8))),
        "error",
        "left and right exchanged",
        "right_kidney lies to the left",
    ),
    "single value": (put("image", volume_of(8) * 0 + 5), "error", "image of a single value", "all of it is 5"),
    "not a number": (
        put("image", np.where(volume_of(8) > 180, np.nan, volume_of(8))),
        "error",
        "image unusable",
        " voxels)",
    ),
    "patient twice": (same_patient, "error", "one patient in several parts", "in test and training"),
    "copy": (put("image", volume_of(0)), "error", "one image in several parts", "the same values in test and training"),
    "flipped copy": (put("image", *flipped(volume_of(0))), "error", "one image in several parts", "the same values"),
    "at the border": (
        put("label", at_border(label_of(8))),
        "warning",
        "structure at the border of the image",
        "left_kidney (left)",
    ),
    "class missing": (
        put("label", without(label_of(8), 2)),
        "warning",
        "class that is missing",
        "no left_kidney, which 9 of 10",
    ),
    "large structure": (
        put("label", large(label_of(8))),
        "warning",
        "size of a structure unlike the others'",
        "right_kidney 0.314 ml, usual",
    ),
    "bright": (put("image", volume_of(8) + 300), "warning", "intensity unlike the others'", "; median 398, usual 100"),
    "other spacing": (
        put("image", volume_of(8), AFFINE @ np.diag([1, 1, 3, 1])),
        "warning",
        "spacing unlike the others'",
        "along z 6 mm, usual 2",
    ),
    "stored to the right": (
        put("image", *flipped(volume_of(8))),
        "warning",
        "left and right stored both ways",
        "1 of 10 volumes are stored to the right",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_in_its_case(tmp_path, fault: str) -> None:
    spoil, grade, kind, text = FAULTS[fault]
    cases = clean_set(tmp_path)
    spoil(tmp_path, cases)
    report = check_datalist(write_list(tmp_path, cases))
    found = [finding for finding in report.findings if finding.kind == kind]
    assert len(found) >= 1 and found[0].grade == grade and text in found[0].text
    assert "case8" in found[0].cases and set(found[0].cases) <= {"case8", "case0"}


def test_dicom_copy_of_a_nifti_volume_is_found(tmp_path) -> None:
    stored = np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16)
    write_series(tmp_path / "ct", stored, straight(SHAPE[2]))
    save(tmp_path / "ct.nii.gz", stored[::-1, ::-1].copy(), np.diag([0.8, 0.7, 3, 1]))
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"training": ["ct.nii.gz"], "test": ["ct"]}))
    (finding,) = [finding for finding in check_datalist(path).findings if finding.grade == "error"]
    assert finding.kind == "one image in several parts" and finding.cases == ("ct", "ct")


def test_contours_whose_names_the_list_lacks_are_told(tmp_path) -> None:
    write_series(tmp_path / "ct", volume_of(0).astype(np.int16), straight(SHAPE[2]), series="1.2.3")
    triangle = np.array([[-9, 21, 33], [-5, 21, 33], [-5, 26, 33.0]])
    write_structures(tmp_path / "rt.dcm", {"Niere links": [triangle], "Left kidney": []}, "1.2.3", "1.2.9", "1.2")
    cases = [{"case": "one", "image": "ct", "label": "rt.dcm"}]
    (finding,) = check_datalist(write_list(tmp_path, cases, {"0": "background", "1": "spleen"})).findings
    assert finding.kind == "label unusable" and "'Niere links', 'Left kidney', none of which" in finding.text
    (finding,) = check_datalist(write_list(tmp_path, cases)).findings
    assert finding.kind == "empty label"


def picture_list(folder: Path, count: int = 3, **more: Any) -> Path:
    cases = []
    for seed in range(count):
        write_picture(folder / f"i{seed}.png", angiogram(seed=seed))
        write_picture(folder / f"m{seed}.png", mask_of(angiogram(seed=seed)))
        cases.append({"case": f"case{seed}", "image": f"i{seed}.png", "label": f"m{seed}.png"})
    return write_list(folder, cases, {"0": "background", "1": "vessel"}, **more)


def test_pictures_are_measured_in_pixels(tmp_path) -> None:
    report = check_datalist(picture_list(tmp_path))
    case = report.cases[0]
    assert case.shape == (40, 24) and case.spacing is None and case.orientation == ""
    # a line of three columns from top to bottom
    assert case.structures["vessel"].size == 72 and case.structures["vessel"].unit == "pixels"
    assert case.structures["vessel"].touches == ("top", "bottom")
    assert report.errors == 0


def test_pictures_with_spacing_are_measured_in_square_millimetres(tmp_path) -> None:
    write_dicom(tmp_path / "i.dcm", angiogram(), PixelSpacing=[0.5, 0.4])
    write_picture(tmp_path / "m.png", mask_of(angiogram()) // 255)
    cases = [{"case": "one", "image": "i.dcm", "label": "m.png"}]
    report = check_datalist(write_list(tmp_path, cases, {"0": "background", "1": "vessel"}))
    vessel = report.cases[0].structures["vessel"]
    assert vessel.unit == "mm²" and vessel.size == pytest.approx(72 * 0.2)


def test_picture_and_label_of_two_sizes(tmp_path) -> None:
    path = picture_list(tmp_path)
    write_picture(tmp_path / "m1.png", mask_of(angiogram(width=41)))
    (error,) = [finding for finding in check_datalist(path).findings if finding.grade == "error"]
    assert error.kind == "label of another size" and error.cases == ("case1",)
    assert "41×24 pixels and the image 40×24" in error.text


def test_command_prints_findings_and_writes_sheets(tmp_path, capsys) -> None:
    cases = clean_set(tmp_path)
    put("label", label_of(8), moved(3))(tmp_path, cases)
    cases[8]["patient"] = cases[0]["patient"] = "Somebody"
    path = write_list(tmp_path, cases)
    assert main(["check", str(path), "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr().out
    assert "error: affine of the label differs (1)\n  case8: label and image" in printed
    assert "right_kidney, ml" in printed and "2 errors, " in printed
    assert "Somebody" not in printed
    sheet = np.asarray(Image.open(tmp_path / "out" / "sheet_01.png")).reshape(-1, 3)
    colours = {tuple(colour) for colour in np.unique(sheet, axis=0).tolist()}
    # contours of both classes, and the frame of a case with an error
    assert {(230, 159, 0), (86, 180, 233), (213, 0, 0)} <= colours
    assert main(["check", str(path), "--json"]) == 1
    content = json.loads(capsys.readouterr().out)
    assert content["errors"] == 2 and len(content["cases"]) == COUNT and "Somebody" not in str(content)


def test_command_is_content_with_a_clean_set(tmp_path, capsys) -> None:
    assert main(["check", str(write_list(tmp_path, clean_set(tmp_path)))]) == 0
    assert "nothing to remark" in capsys.readouterr().out
    assert main(["check", str(tmp_path / "nowhere.json")]) == 2


def test_real_set(shared_data: Path, tmp_path) -> None:
    folder = shared_data / "prostate_mri"
    cases = [
        {"case": "first", "image": str(folder / "0000_t2.nii.gz"), "label": str(folder / "0000_gland.nii.gz")},
        {"case": "again", "image": str(folder / "dicom_0000"), "label": str(folder / "0000_gland.nii.gz")},
    ]
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"labels": {"0": "background", "1": "gland"}, "training": cases[:1], "test": cases[1:]}))
    report = check_datalist(path)
    assert [finding.kind for finding in report.findings] == ["one image in several parts"]
    glands = [case.structures["gland"] for case in report.cases]
    assert glands[0] == glands[1] and 20 < glands[0].size < 100
