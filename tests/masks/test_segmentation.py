"""SEG of volumes lies where the NIfTI mask lies, says what it is, and keeps the study's identifiers and no others."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest

from kdseg.data import VolumeReader, dicom_series, read_label
from kdseg.errors import UserError
from kdseg.masks import Mask, OutputNames, read_mark, save_mask
from kdseg.masks.codes import PRIVATE_SCHEME
from kdseg.masks.formats.segmentation import write_segmentation
from tests.data.make_series import SECRET, oblique, write_enhanced
from tests.data.make_series import straight as straight_positions
from tests.masks.make_masks import (
    AXIAL,
    CORONAL,
    LPS_TO_RAS,
    MAKER,
    blobs,
    checked,
    mask_of_series,
    places,
    series_mask,
)

PLANES = {"axial": AXIAL, "coronal": CORONAL, "oblique": oblique()}
FREE_TEXT = "Doctor^Who"


def written(mask: Mask, folder: Path) -> Path:
    (path,), _ = save_mask(mask, OutputNames(folder), ["seg"])
    return path


@pytest.mark.parametrize("plane", PLANES)
def test_it_lies_where_the_nifti_mask_lies(plane: str, tmp_path: Path) -> None:
    mask = series_mask(tmp_path / "series", PLANES[plane])
    path = written(mask, tmp_path / "out")
    assert path.name == "series_mask.dcm"
    segments = highdicom.seg.segread(path)
    volume = segments.get_volume(allow_missing_positions=True, combine_segments=True)
    affine = LPS_TO_RAS @ volume.affine
    for number in mask.classes:
        expected = places(mask.values[0], mask.affine, number)
        assert expected and places(volume.array, affine, number) == expected
    # and by our own reader, on the series' grid
    array, meta = VolumeReader().get_data([tmp_path / "series"])
    names = {name: number for number, name in mask.classes.items()}
    assert np.array_equal(read_label(path, meta["affine"], array.shape, names), mask.values[0])


def test_its_segments_are_coded(tmp_path: Path) -> None:
    mask = series_mask(tmp_path / "series")
    segments = pydicom.dcmread(written(mask, tmp_path)).SegmentSequence
    assert [item.SegmentLabel for item in segments] == list(mask.classes.values())
    kinds = [item.SegmentedPropertyTypeCodeSequence[0] for item in segments]
    assert [kind.CodeValue for kind in kinds[:2]] == ["10200004", "64033007"]
    assert kinds[1].SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert kinds[2].CodingSchemeDesignator == PRIVATE_SCHEME and "no standard code" in kinds[2].CodeMeaning
    for item in segments:
        assert item.SegmentAlgorithmType == "AUTOMATIC" and len(item.RecommendedDisplayCIELabValue) == 3
        algorithm = item.SegmentationAlgorithmIdentificationSequence[0]
        assert algorithm.AlgorithmName == "kdseg" and algorithm.AlgorithmVersion
        assert algorithm.AlgorithmParameters == "task=organs,method=kd,student=0123456789abcdef"


def test_it_refers_to_every_instance_of_its_frames(tmp_path: Path) -> None:
    mask = series_mask(tmp_path / "series")
    dataset = pydicom.dcmread(written(mask, tmp_path))
    (series,) = dicom_series(tmp_path / "series")
    uids = [pydicom.dcmread(file).SOPInstanceUID for file in series.files]
    references = dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert {item.ReferencedSOPInstanceUID for item in references} == set(uids)
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        place = [float(value) for value in frame.PlanePositionSequence[0].ImagePositionPatient]
        assert np.allclose(place, pydicom.dcmread(series.files[uids.index(source)]).ImagePositionPatient, atol=1e-5)
    # the empty slice is left out
    assert uids[-1] not in str(dataset.PerFrameFunctionalGroupsSequence)


def test_it_keeps_the_identifiers_of_the_study_and_no_others(tmp_path: Path) -> None:
    texts = ("OperatorsName", "InstitutionName", "ReferringPhysicianName", "PatientComments", "StudyDescription")
    texts += ("PatientAddress", "OtherPatientIDs", "RequestingPhysician", "StationName", "SeriesDescription")
    others: dict[str, Any] = dict.fromkeys(texts, FREE_TEXT)
    mask = series_mask(tmp_path / "series", StudyID="7", AccessionNumber="A1", PatientAge="050Y", **others)
    source = pydicom.dcmread(next((tmp_path / "series").iterdir()))
    path = written(mask, tmp_path)
    dataset = pydicom.dcmread(path)
    kept = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime")
    for keyword in (*kept, "StudyID", "AccessionNumber", "FrameOfReferenceUID"):
        assert dataset[keyword].value == source[keyword].value, keyword
    assert dataset.SeriesInstanceUID != source.SeriesInstanceUID and dataset.PatientName == SECRET
    assert FREE_TEXT.encode() not in path.read_bytes() and "PatientAge" not in dataset
    assert read_mark(path) == {"version": dataset.SoftwareVersions, "student": MAKER.student}
    assert json.dumps(read_mark(tmp_path / "series")) == "null"


@pytest.mark.parametrize("form", ["seg", "rtstruct"])
def test_names_of_any_alphabet(form: str, tmp_path: Path) -> None:
    series_mask(tmp_path / "series", SpecificCharacterSet="ISO_IR 100", PatientName="Müller^Jörg")
    labels = {"0": "background", "1": "foie", "2": "œsophage", "3": "肝臓"}
    (path,), _ = save_mask(mask_of_series(tmp_path / "series", labels=labels), OutputNames(tmp_path), [form])
    dataset = pydicom.dcmread(path)
    items = dataset.SegmentSequence if form == "seg" else dataset.StructureSetROISequence
    assert dataset.PatientName == "Müller^Jörg"
    assert [item.SegmentLabel if form == "seg" else item.ROIName for item in items] == ["foie", "œsophage", "肝臓"]


def test_an_enhanced_file(tmp_path: Path) -> None:
    volume = np.random.default_rng(0).integers(0, 1000, (9, 7, 5)).astype(np.int16)
    write_enhanced(tmp_path / "series.dcm", volume, straight_positions(5), [1.0] * 5)
    mask = mask_of_series(tmp_path / "series.dcm")
    path = written(mask, tmp_path / "out")
    names = {name: number for number, name in mask.classes.items()}
    assert np.array_equal(read_label(path, mask.affine, mask.values.shape[1:], names), mask.values[0])


def test_a_series_that_was_resampled(tmp_path: Path) -> None:
    """A missing slice: the mask is on the even grid, and so is the SEG."""
    mask = series_mask(tmp_path / "series", shape=(9, 7, 6))
    (series,) = dicom_series(tmp_path / "series")
    series.files[2].unlink()
    mask = mask_of_series(tmp_path / "series")
    assert mask.values.shape[3] == 6
    path = written(mask, tmp_path / "out")
    names = {name: number for number, name in mask.classes.items()}
    assert np.array_equal(read_label(path, mask.affine, mask.values.shape[1:], names), mask.values[0])


def test_an_empty_mask(tmp_path: Path) -> None:
    series_mask(tmp_path / "series")
    mask = mask_of_series(tmp_path / "series", np.zeros((9, 7, 5), np.uint8))
    segments = highdicom.seg.segread(written(mask, tmp_path / "out"))
    assert not segments.pixel_array.any() and len(segments.SegmentSequence) == 3


def test_what_an_anonymiser_has_emptied_is_made_up_and_said(tmp_path: Path) -> None:
    emptied = dict.fromkeys(("FrameOfReferenceUID", "StudyInstanceUID", "SeriesInstanceUID"), "")
    mask = series_mask(tmp_path / "series", **emptied)
    (path,), remarks = save_mask(mask, OutputNames(tmp_path / "out"), ["seg"])
    assert len([remark for remark in remarks if "made up" in remark]) == 3
    assert "no standard code for thing of mine: coded privately" in remarks
    first, second = pydicom.dcmread(path), pydicom.dcmread(written(mask, tmp_path / "again"))
    assert first.FrameOfReferenceUID == second.FrameOfReferenceUID and first.StudyInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_a_series_that_changed_is_refused(tmp_path: Path) -> None:
    mask = series_mask(tmp_path / "series")
    (series,) = dicom_series(tmp_path / "series")
    series.files[-1].unlink()
    with pytest.raises(UserError, match="no series of the mask's size"):
        written(mask, tmp_path / "out")


def test_the_label_of_the_abdominal_ct(shared_data: Path, tmp_path: Path) -> None:
    """Its array is flipped against the image's; by its place in the world it is put right, and stays so in the SEG."""
    folder = shared_data / "abdomen_ct" / "dicom"
    (series,) = dicom_series(folder)
    label = read_label(folder.parent / "dicom_labels.nii.gz", series.affine, series.shape)
    numbers = np.unique(label[label > 0])[::8]
    label[~np.isin(label, numbers)] = 0
    values = np.searchsorted(numbers, label).astype(np.uint8) + (label > 0)
    labels = {"0": "background"} | {str(place + 1): f"value {number}" for place, number in enumerate(numbers)}
    mask = mask_of_series(folder, values, labels)
    path = tmp_path / "seg.dcm"
    write_segmentation(mask, path)
    volume = highdicom.seg.segread(path).get_volume(allow_missing_positions=True, combine_segments=True)
    assert volume.array.max() == len(numbers) > 2

    import nibabel

    truth = nibabel.load(folder.parent / "dicom_labels.nii.gz")
    stored, own = np.asarray(truth.dataobj), truth.affine
    for place in (1, len(numbers) // 2, len(numbers)):
        found = np.argwhere(volume.array == place).mean(axis=0) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
        meant = np.argwhere(stored == numbers[place - 1]).mean(axis=0) @ own[:3, :3].T + own[:3, 3]
        assert np.allclose((LPS_TO_RAS[:3, :3] @ found), meant, atol=0.5)


@pytest.mark.parametrize("plane", PLANES)
def test_dciodvfy_finds_no_error(plane: str, tmp_path: Path) -> None:
    checked(written(series_mask(tmp_path / "series", PLANES[plane]), tmp_path / "out"))


def test_dcmqi_reads_it(tmp_path: Path) -> None:
    program = shutil.which("segimage2itkimage")
    if program is None:
        pytest.skip("dcmqi (pip install dcmqi) is not installed")
    import nibabel

    mask = series_mask(tmp_path / "series", oblique())
    path = written(mask, tmp_path)
    words = ["--inputDICOM", str(path), "--outputDirectory", str(tmp_path), "--outputType", "nii", "--prefix", "got"]
    subprocess.run([program, *words], check=True, capture_output=True)
    for number in mask.classes:
        image = nibabel.load(tmp_path / f"got-{number}.nii.gz")
        stored = np.asarray(image.dataobj)
        # dcmqi writes a mask of one segment, in the segment's number
        found = places((stored > 0).astype(int), image.affine, 1)
        expected = places(mask.values[0], mask.affine, number)
        assert len(found) == len(expected)
        distance = np.abs(np.array(sorted(found)) - np.array(sorted(expected)))
        assert distance.max() <= 1


def test_values_of_another_grid_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="size"):
        Mask(blobs((4, 4, 4))[None], np.eye(4), {"0": "", "1": "a", "2": "b", "3": "c"}, ["a"], shape=(4, 4, 5))
    with pytest.raises(UserError, match="from 0 to 3"):
        Mask(blobs((4, 4, 4))[None], np.eye(4), {"0": "", "1": "a"}, ["a"])
