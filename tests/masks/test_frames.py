"""Masks of projection pictures as DICOM: SEG by reference to frames, and Secondary Capture for eyes."""

from __future__ import annotations

from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest

from kdseg.data import PictureReader
from kdseg.errors import UserError
from kdseg.masks import Mask, OutputNames, is_marked, save_mask
from tests.data.make_files import angiogram, write_dicom
from tests.masks.make_masks import LABELS, MAKER, blobs, checked, series_mask


def cine_mask(path: Path, frames: int = 4, frame: int | str = "all") -> Mask:
    """A cine (or one picture) of 40×24 pixels that was just written, with a mask of which the last frame is empty."""
    pictures = np.stack([angiogram(seed=seed) for seed in range(frames)])
    uids = {"SOPInstanceUID": "1.2.3.4", "StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.5"}
    write_dicom(path, pictures if frames > 1 else pictures[0], FrameTime="66.7", **uids)
    array, meta = PictureReader(frame=frame).get_data([path])
    values = blobs((*array.shape[1:], len(array) + (len(array) == 1)))[..., : len(array)]
    return Mask(values.transpose(2, 0, 1), meta["affine"], LABELS, [path], "dicom", meta["frame"], maker=MAKER)


def written(mask: Mask, folder: Path, form: str = "seg") -> Path:
    (path,), _ = save_mask(mask, OutputNames(folder), [form])
    return path


@pytest.mark.parametrize("frames", [1, 4])
def test_each_frame_refers_to_its_source(frames: int, tmp_path: Path) -> None:
    mask = cine_mask(tmp_path / "7.dcm", frames)
    path = written(mask, tmp_path)
    assert path.name == "7_mask.dcm" and is_marked(path) and not is_marked(tmp_path / "7.dcm")
    dataset, source = pydicom.dcmread(path), pydicom.dcmread(tmp_path / "7.dcm")
    pixels = dataset.pixel_array.reshape(-1, 24, 40)
    rebuilt = np.zeros_like(mask.values)
    for groups, area in zip(dataset.PerFrameFunctionalGroupsSequence, pixels, strict=True):
        image = groups.DerivationImageSequence[0].SourceImageSequence[0]
        assert image.ReferencedSOPInstanceUID == source.SOPInstanceUID and area.any()
        place = int(image.get("ReferencedFrameNumber", 1)) - 1
        rebuilt[place][area.T > 0] = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
    assert np.array_equal(rebuilt, mask.values)
    # of a file of one frame no number (0008,1160) is given
    assert ("(0008,1160)" in str(dataset)) == (frames > 1)
    assert "PlanePositionSequence" not in str(dataset) and "FrameOfReferenceUID" not in dataset
    assert dataset.StudyInstanceUID == source.StudyInstanceUID and dataset.PatientID == source.PatientID


def test_highdicom_reads_the_frames_of_a_cine(tmp_path: Path) -> None:
    mask = cine_mask(tmp_path / "7.dcm")
    segments = highdicom.seg.segread(written(mask, tmp_path))
    found = segments.get_pixels_by_source_frame(
        "1.2.3.4", [1, 2, 3, 4], combine_segments=True, assert_missing_frames_are_empty=True
    )
    assert np.array_equal(found.transpose(0, 2, 1), mask.values)
    one = highdicom.seg.segread(written(cine_mask(tmp_path / "8.dcm", 1), tmp_path))
    assert one.get_pixels_by_source_instance(["1.2.3.4"], combine_segments=True).shape == (1, 24, 40)


def test_the_frame_that_was_segmented_is_the_one_referred_to(tmp_path: Path) -> None:
    mask = cine_mask(tmp_path / "7.dcm", frame=2)
    assert len(mask.values) == 1 and mask.frame == 2
    dataset = pydicom.dcmread(written(mask, tmp_path))
    numbers = {
        int(groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)
        for groups in dataset.PerFrameFunctionalGroupsSequence
    }
    assert numbers == {3}


def test_an_empty_mask_is_one_empty_frame(tmp_path: Path) -> None:
    mask = cine_mask(tmp_path / "7.dcm")
    empty = Mask(np.zeros_like(mask.values), mask.affine, LABELS, mask.files, "dicom", maker=MAKER)
    dataset = pydicom.dcmread(written(empty, tmp_path))
    assert dataset.NumberOfFrames == 1 and not dataset.pixel_array.any()


def test_the_cine_in_the_shared_data(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "angiograms" / "cine_96_frames_jpeg.dcm"
    values = np.zeros((96, 512, 512), np.uint8)
    values[5:90, 100:200, 50:60] = 1
    mask = Mask(values, np.eye(4), {"0": "background", "1": "vessel"}, [path], "dicom", maker=MAKER)
    dataset = pydicom.dcmread(written(mask, tmp_path))
    assert dataset.NumberOfFrames == 85 and np.array_equal(dataset.pixel_array, values[5:90].transpose(0, 2, 1))
    capture = pydicom.dcmread(written(mask, tmp_path, "capture"), stop_before_pixels=True)
    assert capture.NumberOfFrames == 96


@pytest.mark.parametrize("frames", [1, 4])
def test_a_capture_shows_the_areas_on_the_picture(frames: int, tmp_path: Path) -> None:
    mask = cine_mask(tmp_path / "7.dcm", frames)
    path = written(mask, tmp_path, "capture")
    dataset, source = pydicom.dcmread(path), pydicom.dcmread(tmp_path / "7.dcm")
    assert path.name == "7_overlay.dcm" and is_marked(path)
    assert dataset.StudyInstanceUID == source.StudyInstanceUID and float(dataset.FrameTime) == 66.7
    pictures = dataset.pixel_array.reshape(-1, 24, 40, 3).astype(int)
    assert len(pictures) == frames
    # colour where something was found, grey elsewhere; a pixel from each edge, which JPEG blurs
    spread = np.ptp(pictures, axis=-1)
    grey = np.stack([area.T == 0 for area in mask.values])
    assert spread[~grey].mean() > 60 and np.median(spread[grey]) < 12


def test_a_volume_is_no_capture_and_a_slide_no_seg(tmp_path: Path, shared_data: Path) -> None:
    with pytest.raises(UserError, match="--format seg"):
        written(series_mask(tmp_path / "series"), tmp_path, "capture")
    slide = Mask(
        np.zeros((1, 50, 50), np.uint8), np.eye(4), LABELS, [shared_data / "dicom_seg" / "sm_image.dcm"], "dicom"
    )
    with pytest.raises(UserError, match=r"a slide.*--format nifti"):
        written(slide, tmp_path)


@pytest.mark.parametrize("form", ["seg", "capture"])
def test_dciodvfy_finds_no_error(form: str, tmp_path: Path) -> None:
    checked(written(cine_mask(tmp_path / "7.dcm"), tmp_path, form))
