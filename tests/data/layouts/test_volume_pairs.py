"""The layouts in which abdominal CT and prostate MRI are distributed, and what is wrong in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from kdseg.cli.main import main
from kdseg.data import load_datalist
from kdseg.errors import UserError
from tests.bundles.volumes import affine, organs, write_dicom, write_nifti
from tests.data.make_files import prepare_task
from tests.data.make_series import write_structures

SECTIONS = ("training", "validation", "test", "unlabelled")


def cases(out: Path) -> dict[str, dict[str, Any]]:
    """Every record of a list by its case, with its section."""
    listed = {section: load_datalist(out, section) for section in SECTIONS}
    return {record["case"]: {**record, "section": name} for name, records in listed.items() for record in records}


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("img/img{n:04d}.nii.gz", "label/label{n:04d}.nii.gz"),
        ("RawData/Training/img/img{n:04d}.nii.gz", "RawData/Training/label/label{n:04d}.nii.gz"),
        ("images/{n}.nii.gz", "labels/{n}.nii"),
        ("{n}_ct.nii.gz", "{n}_labels.nii.gz"),
        ("case{n}/ct.nii.gz", "case{n}/ct_seg.nii.gz"),
        ("imagesTr/case{n}_0000.nii.gz", "labels/case{n}.nii.gz"),
    ],
)
def test_nifti_layouts(tmp_path: Path, image: str, label: str) -> None:
    for number in (1, 2, 10):
        volume, organ = organs(range(1, 14), number)
        write_nifti(tmp_path / "data" / image.format(n=number), volume)
        write_nifti(tmp_path / "data" / label.format(n=number), organ)
    result = prepare_task("synapse_multiorgan", tmp_path / "data", tmp_path / "list.json")
    assert result.problems == []
    found = cases(tmp_path / "list.json")
    assert len(found) == 3
    pairs = {(tmp_path / "data" / image.format(n=n), tmp_path / "data" / label.format(n=n)) for n in (1, 2, 10)}
    assert {(Path(record["image"]), Path(record["label"])) for record in found.values()} == pairs
    assert all((record["slices"], record["labelled_slices"]) == (6, 4) for record in found.values())


def test_the_published_division_of_btcv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2, 5, 6, 7, 11, 61):
        volume, organ = organs(range(1, 14), number)
        write_nifti(tmp_path / "data" / "img" / f"img{number:04d}.nii.gz", volume)
        if number != 61:
            write_nifti(tmp_path / "data" / "label" / f"label{number:04d}.nii.gz", organ)
    command = ["prepare", "synapse_multiorgan", str(tmp_path / "data"), "--out", str(tmp_path / "list.json")]
    assert main([*command, "--protocol", "published", "--fractions", "0.7", "0.3", "0"]) == 0
    found = cases(tmp_path / "list.json")
    assert {case for case, record in found.items() if record["section"] == "test"} == {"img0001", "img0002"}
    assert set(found) - {"img0001", "img0002"} == {"img0005", "img0006", "img0007"}
    assert "2 case(s) are not part of the protocol" in capsys.readouterr().out
    assert main([*command, "--protocol", "publish"]) == 2
    assert "did you mean 'published'?" in capsys.readouterr().err


def test_the_files_of_transunet(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    source = tmp_path / "data"
    (source / "train_npz").mkdir(parents=True)
    (source / "test_vol_h5").mkdir()
    for number in (5, 6, 7):
        volume, organ = organs(range(1, 9), number)
        scaled = ((np.clip(volume, -125, 275) + 125) / 400).astype(np.float32).T
        for place in range(volume.shape[2]):
            path = source / "train_npz" / f"case{number:04d}_slice{place:03d}.npz"
            np.savez(path, image=scaled[place], label=organ.T[place])
    volume, organ = organs(range(1, 9), 1)
    with h5py.File(source / "test_vol_h5" / "case0001.npy.h5", "w") as file:
        file["image"], file["label"] = ((np.clip(volume, -125, 275) + 125) / 400).astype(np.float32).T, organ.T
    (source / "train_npz" / "case0007_slice003.npz").unlink()
    out = tmp_path / "list.json"
    result = prepare_task("synapse_multiorgan", source, out, protocol="published", fractions=(0.5, 0.5, 0))
    assert [problem["reason"] for problem in result.problems] == ["1 missing slices, the first is 3"]
    found = cases(out)
    assert {record["section"] for record in found.values()} == {"training", "validation", "test"}
    image = nibabel.load(found["case0001"]["image"])
    assert np.array_equal(np.asarray(image.dataobj), np.clip(volume, -125, 275))
    assert json.loads(out.read_text())["labels"]["5"] == "liver"


def test_dicom_with_contours(tmp_path: Path) -> None:
    import pydicom

    for number in (1, 2, 3):
        volume, organ = organs(range(1, 14), number)
        folder = write_dicom(tmp_path / "data" / f"patient{number}", volume, "CT", f"patient {number}")
        if number < 3:
            write_nifti(tmp_path / "data" / f"patient{number}_label.nii.gz", organ)
            continue
        first = min((pydicom.dcmread(path) for path in folder.iterdir()), key=lambda one: one.ImagePositionPatient[2])
        left, top, bottom = (float(value) for value in first.ImagePositionPatient)
        square = np.array([[2, 2], [8, 2], [8, 8], [2, 8]]) * [0.8, 0.7] + [left, top]
        contour = np.c_[square, np.full(4, bottom + 3.0)]
        identity = (first.SeriesInstanceUID, first.FrameOfReferenceUID, first.StudyInstanceUID)
        path = write_structures(folder / "contours.dcm", {"Kidney Right": [contour]}, *identity)
        structures = pydicom.dcmread(path)
        structures.PatientID = first.PatientID
        structures.save_as(path)
    result = prepare_task("synapse_multiorgan", tmp_path / "data", tmp_path / "list.json")
    assert result.problems == []
    found = cases(tmp_path / "list.json")
    assert sorted(found) == ["patient1", "patient2", "patient3"]
    assert Path(found["patient3"]["label"]).name == "contours.dcm" and found["patient3"]["labelled_slices"] == 1
    assert all(len(record["patient"]) == 12 for record in found.values()), "pseudonyms"


def test_the_traps_of_the_prostate_release(tmp_path: Path) -> None:
    volume, organ = organs((1, 2), 0)
    for number, site in enumerate(("RUNMC", "BMC", "Site-C", "UCL", "HK")):
        for case in (0, 1):
            volume, organ = organs((1, 2), 10 * number + case)
            write_nifti(tmp_path / "data" / site / f"Case{case:02d}.nii.gz", volume)
            name = "Segmentation" if site == "BMC" else "segmentation"
            write_nifti(tmp_path / "data" / site / f"Case{case:02d}_{name}.nii.gz", organ)
    # the same label under both spellings, and two labels that differ
    write_nifti(tmp_path / "data" / "BMC" / "Case01_segmentation.nii.gz", organs((1, 2), 11)[1])
    write_nifti(tmp_path / "data" / "HK" / "Case01_Segmentation.nii.gz", organ * 2)
    out = tmp_path / "list.json"
    result = prepare_task(
        "prostate_mri", tmp_path / "data", out, protocol="sources_to_targets", fractions=(0.7, 0.3, 0)
    )
    assert [problem["case"] for problem in result.problems] == ["Case01"]
    assert "more than one mask" in result.problems[0]["reason"]
    found = cases(out)
    assert {record["site"] for record in found.values()} == {"RUNMC", "BMC", "I2CVB", "UCL", "HK"}
    tested = {case for case, record in found.items() if record["section"] == "test"}
    assert tested == {"UCL_Case00", "UCL_Case01", "HK_Case00"}
    assert len(found) == 9 and {record["patient"] for record in found.values()} == set(found)
    assert any("than published: RUNMC 2 of 30" in note for note in result.notes)
    left_out = prepare_task("prostate_mri", tmp_path / "data", out, protocol="leave_out_BMC", fractions=(0.7, 0.3, 0))
    assert left_out.counts["test"] == 2
    with pytest.raises(UserError, match="none for test"):
        prepare_task("prostate_mri", tmp_path / "data", out, protocol="leave_out_BIDMC")


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    for number in range(1, 9):
        volume, organ = organs(range(1, 14), number)
        matrix = affine()
        if number == 2:
            organ[0, 0, 0] = 77
        if number == 3:
            organ[:] = 0
        if number == 4:
            matrix[:3, 3] += 1000
        if number == 5:
            volume = organs(range(1, 14), 1)[0]
        write_nifti(tmp_path / "data" / "img" / f"img{number:04d}.nii.gz", volume)
        path = tmp_path / "data" / "label" / f"label{number:04d}.nii.gz"
        path.parent.mkdir(exist_ok=True)
        if number != 8:
            nibabel.save(nibabel.Nifti1Image(organ, matrix), path)
    (tmp_path / "data" / "img" / "img0006.nii.gz").write_bytes(b"nothing")
    write_nifti(tmp_path / "data" / "label" / "label0099.nii.gz", organ)
    result = prepare_task("synapse_multiorgan", tmp_path / "data", tmp_path / "list.json", fractions=(0.5, 0, 0.5))
    reasons = {problem["case"]: problem["reason"] for problem in result.problems}
    assert reasons["label0099"] == "a mask without an image"
    kinds = {problem["case"]: problem["kind"] for problem in result.problems}
    assert kinds["img0002"] == "label values without a name" and reasons["img0002"].startswith("77;")
    assert kinds["img0003"] == "empty label"
    assert "outside" in reasons["img0004"] and reasons["img0005"] == "the same values as case img0001"
    assert "cannot be decoded" in reasons["img0006"]
    assert result.counts == {"training": 1, "validation": 0, "test": 1, "unlabelled": 1}


def test_files_made_from_a_case_are_no_cases(tmp_path: Path) -> None:
    for number in (0, 1):
        volume, organ = organs((1, 2), number)
        write_nifti(tmp_path / "data" / f"000{number}_t2.nii.gz", volume)
        write_nifti(tmp_path / "data" / f"000{number}_gland.nii.gz", organ)
        write_nifti(tmp_path / "data" / f"000{number}_zones.nii.gz", organ)
    result = prepare_task("prostate_mri", tmp_path / "data", tmp_path / "list.json", fractions=(0.5, 0, 0.5))
    assert sum(result.counts.values()) == 2 and any(
        "2 file(s)" in note and "made from a case" in note for note in result.notes
    )
