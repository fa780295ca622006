"""What ``kdseg check`` does not say: no false alarms, no noise of libraries; and a label given as an image is told."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from kdseg.cli.main import main
from kdseg.data.checks.report import check_datalist
from kdseg.data.formats.dicom.studies import dicom_series
from kdseg.errors import UserError

COUNT = 10


def volumes(folder: Path, brightness: list[float]) -> Path:
    cases = []
    for index, added in enumerate(brightness):
        # the same noise turned, so that no two images are copies
        values = np.roll(np.random.default_rng(0).normal(100, 30, (8, 7, 6)), index) + added
        nibabel.save(nibabel.Nifti1Image(values.astype(np.float32), np.diag([2, 2, 2, 1])), folder / f"{index}.nii.gz")
        cases.append({"case": f"case{index}", "image": f"{index}.nii.gz"})
    path = folder / "list.json"
    path.write_text(json.dumps({"training": cases}))
    return path


def test_images_of_nearly_one_brightness_are_no_outliers(tmp_path: Path) -> None:
    # all alike but one, which is a hundredth of the range brighter
    assert check_datalist(volumes(tmp_path, [0.0] * (COUNT - 1) + [1.4])).findings == []
    (finding,) = check_datalist(volumes(tmp_path, [0.0] * (COUNT - 1) + [40.0])).findings
    assert finding.kind == "intensity unlike the others'" and finding.cases == ("case9",)


def test_one_of_each_is_told_in_the_singular(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = volumes(tmp_path, [0.0] * (COUNT - 1) + [40.0])
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out.endswith("0 errors, 1 warning\n")


def test_a_damaged_header_is_told_once(shared_data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"root": str(shared_data / "nifti_bad"), "training": ["crash-1.nii", "big.nii.gz"]}))
    assert main(["check", str(path)]) == 1
    printed, noise = capfd.readouterr()
    assert "crash-1: content that cannot be decoded" in printed and noise == ""


def test_labels_are_no_image(shared_data: Path, tmp_path: Path) -> None:
    seg = shared_data / "dicom_seg" / "ct_3slice_liver_seg.dcm"
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"training": [str(seg)]}))
    (finding,) = check_datalist(path).findings
    assert finding.kind == "image unusable" and finding.text == "labels (SEG), no pictures"
    with pytest.raises(UserError, match=r"found labels \(RTSTRUCT\), no pictures"):
        dicom_series(shared_data / "dicom_seg" / "rtstruct" / "rt.dcm")
