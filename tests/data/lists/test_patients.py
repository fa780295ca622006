"""Whose volume it is: the scans of a patient stay together, and a series is read whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from monai.transforms import LoadImage

from kdseg.data import VolumeReader, load_datalist
from kdseg.data.lists.inputs import find_volume_files
from tests.bundles.volumes import SIZE, organs, write_dicom, write_nifti
from tests.data.make_files import prepare_task
from tests.data.make_series import straight, write_series, write_structures

SECTIONS = ("training", "validation", "test")


def patients(out: Path) -> dict[str, str]:
    """Case → patient of every record."""
    records = [record for section in SECTIONS for record in load_datalist(out, section)]
    return {record["case"]: record["patient"] for record in records}


def write_pair(folder: Path, name: str, number: int) -> None:
    volume, organ = organs((1, 2), number)
    write_nifti(folder / f"{name}.nii.gz", volume)
    write_nifti(folder / f"{name}_seg.nii.gz", organ)


def test_scans_in_a_folder_are_of_one_patient(tmp_path: Path) -> None:
    for number in range(8):
        write_pair(tmp_path / "data" / f"patient{number // 2}", f"scan{number % 2}", number)
    out = tmp_path / "list.json"
    result = prepare_task("synapse_multiorgan", tmp_path / "data", out, fractions=(0.5, 0.25, 0.25))
    assert sorted(patients(out).values()) == sorted(f"patient{number // 2}" for number in range(8))
    assert result.counts == {"training": 4, "validation": 2, "test": 2, "unlabelled": 0}
    assert "patients are told by folders (8 cases)" in result.notes


def test_single_scans_are_not_said_to_be_told_apart(tmp_path: Path) -> None:
    for number in range(3):
        write_pair(tmp_path / "data", f"scan{number}", number)
    result = prepare_task("synapse_multiorgan", tmp_path / "data", tmp_path / "list.json")
    assert any("the file itself (3 cases: nothing says who belongs together)" in note for note in result.notes)


def test_a_folder_in_a_site_is_a_patient(tmp_path: Path) -> None:
    for number in range(6):
        write_pair(tmp_path / "data" / "HK" / f"p{number // 2}", f"scan{number % 2}", number)
        write_pair(tmp_path / "data" / "our hospital" / f"p{number // 2}", f"scan{number % 2}", 10 + number)
        write_pair(tmp_path / "data" / "UCL", f"Case{number:02d}", 20 + number)
    out = tmp_path / "list.json"
    prepare_task("prostate_mri", tmp_path / "data", out)
    found = patients(out)
    told = [found[case] for case in ("HK_p0_scan1", "our hospital_p2_scan0", "UCL_Case03")]
    assert told == ["HK_p0", "our hospital_p2", "UCL_Case03"] and len(set(found.values())) == 12


@pytest.mark.parametrize(("bundle", "modality"), [("synapse_multiorgan", "CT"), ("prostate_mri", "MR")])
def test_one_patient_id_for_everybody_is_none(tmp_path: Path, bundle: str, modality: str) -> None:
    for number in range(4):
        volume, organ = organs((1, 2), number)
        write_dicom(tmp_path / "data" / f"study{number}", volume, modality, "ANONYMOUS")
        write_nifti(tmp_path / "data" / f"study{number}_label.nii.gz", organ)
    out = tmp_path / "list.json"
    result = prepare_task(bundle, tmp_path / "data", out)
    assert len(set(patients(out).values())) == 4
    assert any(note.startswith("all 4 studies have one patient id") for note in result.notes)


def test_the_series_that_was_drawn_on_is_the_image(tmp_path: Path) -> None:
    import pydicom

    for number in range(2):
        folder = tmp_path / "data" / f"patient{number}"
        thick, _ = organs(range(1, 14), number)
        write_dicom(folder / "thick", thick, "CT", f"patient {number}")
        first = min(
            (pydicom.dcmread(path) for path in (folder / "thick").iterdir()), key=lambda one: str(one.SOPInstanceUID)
        )
        identity = (first.SeriesInstanceUID, first.FrameOfReferenceUID, first.StudyInstanceUID)
        # of the same study, with twice the slices
        thin = np.repeat(thick, 2, axis=2)
        write_series(folder / "thin", thin, straight(12, 1.5), study=first.StudyInstanceUID, PatientID=first.PatientID)
        square = np.array([[-8, 22], [-3, 22], [-3, 27], [-8, 27]])
        contour = np.c_[square, np.full(4, 33.0)]
        path = write_structures(folder / "contours.dcm", {"spleen": [contour]}, *identity)
        structures = pydicom.dcmread(path)
        structures.PatientID = first.PatientID
        structures.save_as(path)
    out = tmp_path / "list.json"
    result = prepare_task("synapse_multiorgan", tmp_path / "data", out, fractions=(0.5, 0, 0.5))
    assert result.problems == [] and result.counts["training"] == result.counts["test"] == 1
    (record,) = load_datalist(out, "test")
    assert Path(record["image"]).parent.name == "thick" and record["slices"] == SIZE[2]


def scattered_series(folder: Path) -> None:
    """Ten slices in two folders, as some archives export them."""
    volume, _ = organs((1, 2), 0)
    write_dicom(folder / "a", volume, "CT", "somebody")
    (folder / "b").mkdir()
    for path in sorted((folder / "a").iterdir())[::2]:
        path.rename(folder / "b" / path.name)


def test_a_series_in_two_folders_is_predicted_whole(tmp_path: Path) -> None:
    scattered_series(tmp_path)
    (found,) = find_volume_files(tmp_path, modality="CT")
    assert LoadImage(reader=VolumeReader(modality="CT"), image_only=True)(found).shape == SIZE


def test_a_series_in_two_folders_is_not_listed_in_part(tmp_path: Path) -> None:
    scattered_series(tmp_path / "data")
    write_pair(tmp_path / "data", "7", 1)
    write_pair(tmp_path / "data", "8", 2)
    result = prepare_task("synapse_multiorgan", tmp_path / "data", tmp_path / "list.json", fractions=(0.5, 0, 0.5))
    assert [problem["reason"] for problem in result.problems] == ["slices in 2 folders: put the series into one"]
