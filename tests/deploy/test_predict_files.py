"""``kdseg predict`` on what people have: several inputs, archives, studies; in every format, twice, with a report."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

import kdseg
from kdseg.cli.main import main
from kdseg.data import read_label
from kdseg.deploy import predict_files
from kdseg.masks import read_mark
from kdseg.phantom import make_phantom
from tests.bundles.volumes import organs, write_dicom, write_nifti
from tests.data.make_files import write_dicom as write_cine
from tests.data.make_series import SECRET, straight, write_series
from tests.tasks import VARIED, tiny_task, trained_folder

PICTURES = tiny_task(network=VARIED)
VOLUMES = tiny_task(
    kind="volume", patch_size=[32, 32], head="softmax", classes=["liver", "spleen"], network=VARIED, modality=["MR"]
)


def phantom(seed: int = 0) -> np.ndarray:
    return make_phantom(np.random.default_rng(seed), 64)[0]


@pytest.fixture
def student(tmp_path: Path) -> Any:
    """Of pictures."""
    trained_folder(tmp_path / "student", PICTURES, method="kd")
    return kdseg.load(tmp_path / "student", device="cpu", frame="all")


@pytest.fixture
def volume_student(tmp_path: Path) -> Any:
    trained_folder(tmp_path / "volume_student", VOLUMES)
    return kdseg.load(tmp_path / "volume_student", device="cpu")


def pictures(folder: Path, count: int = 3) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        Image.fromarray(phantom(number)).save(folder / f"{number}.png")
    return folder


def cine(path: Path, frames: int = 3) -> Path:
    uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.5"}
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_cine(path, np.stack([phantom(seed) for seed in range(frames)]), PixelSpacing=[0.2, 0.3], **uids)


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_seg_of_a_series_is_the_nifti_mask(volume_student: Any, tmp_path: Path) -> None:
    series = write_dicom(tmp_path / "series", organs((1, 2), 1)[0], "MR", SECRET)
    done = predict_files(volume_student, series, tmp_path / "out", formats=["nifti", "seg", "rtstruct"])
    (case,) = done.cases
    assert names(tmp_path / "out") == {"series_mask.nii.gz", "series_mask.dcm", "series_contours.dcm"}
    assert [Path(path).name for path in case["outputs"]] == [
        f"series_{end}" for end in ("mask.nii.gz", "mask.dcm", "contours.dcm")
    ]
    nifti = nibabel.load(tmp_path / "out" / "series_mask.nii.gz")
    truth = np.asarray(nifti.dataobj)
    assert 0 < np.count_nonzero(truth) < truth.size
    for name in ("series_mask.dcm", "series_contours.dcm"):
        label = read_label(
            tmp_path / "out" / name, nifti.affine, truth.shape, {"liver": 1, "spleen": 2}, absent="empty"
        )
        assert np.array_equal(label, truth)
    segments = pydicom.dcmread(tmp_path / "out" / "series_mask.dcm").SegmentSequence
    kinds = [item.SegmentedPropertyTypeCodeSequence[0].CodeMeaning for item in segments]
    assert kinds == ["Liver", "Spleen"] and case["warnings"] == []


def test_seg_of_a_cine_is_the_nifti_mask(student: Any, tmp_path: Path) -> None:
    path = cine(tmp_path / "7.dcm")
    predict_files(student, path, tmp_path / "out", formats=["seg", "nifti", "capture"])
    truth = np.asarray(nibabel.load(tmp_path / "out" / "7_mask.nii.gz").dataobj)
    segments = highdicom.seg.segread(tmp_path / "out" / "7_mask.dcm")
    source = pydicom.dcmread(path).SOPInstanceUID
    found = segments.get_pixels_by_source_frame(
        source, [1, 2, 3], combine_segments=True, assert_missing_frames_are_empty=True
    )
    assert truth.any() and np.array_equal(found.transpose(2, 1, 0), truth[:, :, 0])
    assert pydicom.dcmread(tmp_path / "out" / "7_overlay.dcm").NumberOfFrames == 3


def test_formats_are_for_dicom_and_the_rest_is_as_ever(student: Any, tmp_path: Path) -> None:
    pictures(tmp_path / "in", 1)
    cine(tmp_path / "in" / "7.dcm")
    predict_files(student, tmp_path / "in", tmp_path / "out", formats=["seg"])
    assert names(tmp_path / "out") == {"0_mask.png", "7_mask.dcm"}


def test_several_sources_and_an_archive(student: Any, tmp_path: Path) -> None:
    first, second = pictures(tmp_path / "a" / "in", 2), pictures(tmp_path / "b" / "in", 1)
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(pictures(tmp_path / "c", 1) / "0.png", "deep/0.png")
    sources = [first, second, tmp_path / "more.zip"]
    done = predict_files(student, sources, tmp_path / "out")
    assert len(done.cases) == 4 and not done.set_aside
    assert {"0_mask.png", "1_mask.png", "more/deep/0_mask.png"} < names(tmp_path / "out")
    before = names(tmp_path / "out")
    # the second time nothing is done, wherever the archive was unpacked
    again = predict_files(student, sources, tmp_path / "out")
    assert not again.cases and len(again.done_before) == 4 and names(tmp_path / "out") == before


def test_a_second_run_does_what_is_missing(student: Any, tmp_path: Path) -> None:
    folder, out = pictures(tmp_path / "in"), tmp_path / "out"
    predict_files(student, folder, out)
    (out / "1_mask.png").unlink()
    done = predict_files(student, folder, out)
    assert [case["shown"] for case in done.cases] == ["1.png"] and done.done_before == ["0.png", "2.png"]
    # another student's masks are files in the way, and so is the mask of an image that was changed
    trained_folder(tmp_path / "other", PICTURES, seed=1)
    other = predict_files(kdseg.load(tmp_path / "other", device="cpu"), folder, out)
    assert len(other.set_aside) == 3 and "--overwrite" in other.set_aside[0]
    Image.fromarray(phantom(9)).save(folder / "0.png")
    assert "there already" in predict_files(student, folder, out).set_aside[0]
    assert len(predict_files(student, folder, out, overwrite=True).cases) == 3


def test_masks_are_never_segmented(student: Any, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "in", 1)
    cine(folder / "7.dcm")
    predict_files(student, folder, folder, formats=["seg", "nifti", "capture"], preview=True)
    before = names(folder)
    assert len(before) == 8
    again = predict_files(student, folder, tmp_path / "out")
    assert {case["shown"] for case in again.cases} == {"0.png", "7.dcm"} and names(folder) == before


def test_a_bad_case_is_set_aside_and_the_rest_goes_on(student: Any, tmp_path: Path) -> None:
    folder = pictures(tmp_path / "in", 5)
    (folder / "1.png").write_bytes(b"no picture")
    (folder / "4.png").write_bytes((folder / "4.png").read_bytes()[:200])
    done = predict_files(student, folder, tmp_path / "out")
    assert [case["shown"] for case in done.cases] == ["0.png", "2.png", "3.png"] and len(done.set_aside) == 2


def test_all_series_of_a_study(volume_student: Any, tmp_path: Path) -> None:
    study = tmp_path / "study"
    for number, name in enumerate(("t2_tse_tra", "t1_tra", "dwi_tra")):
        values = organs((1, 2), number)[0]
        series = {"series": f"1.2.3.10000{number}", "study": "1.2.9", "SeriesDescription": name}
        write_series(study, values, straight(6, 3.0), Modality="CT" if number == 2 else "MR", **series)
    assert len(predict_files(volume_student, study, tmp_path / "one").cases) == 1
    done = predict_files(volume_student, study, tmp_path / "out", every_series=True, formats=["seg"])
    assert len({case["series"] for case in done.cases}) == 2 and not done.set_aside
    assert len(names(tmp_path / "out")) == 2


def test_an_image_smaller_than_the_stride(volume_student: Any, tmp_path: Path) -> None:
    trained_folder(tmp_path / "thin", tiny_task())
    student = kdseg.load(tmp_path / "thin", device="cpu")
    write_cine(tmp_path / "small.dcm", phantom()[:7, :9], StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.5")
    predict_files(student, tmp_path / "small.dcm", tmp_path / "out", formats=["seg"])
    dataset = pydicom.dcmread(tmp_path / "out" / "small_mask.dcm")
    assert (dataset.Rows, dataset.Columns) == (7, 9)
    write_series(tmp_path / "series", organs((1, 2), 1)[0][:5, :6], straight(6), Modality="MR")
    done = predict_files(volume_student, tmp_path / "series", tmp_path / "out", formats=["seg"])
    assert not done.set_aside and pydicom.dcmread(tmp_path / "out" / "series_mask.dcm").Rows == 6


def test_a_preview_shows_what_was_found(student: Any, volume_student: Any, tmp_path: Path) -> None:
    cine(tmp_path / "7.dcm")
    series = write_dicom(tmp_path / "series", organs((1, 2), 1)[0], "MR", "1")
    write_nifti(tmp_path / "8.nii.gz", organs((1, 2), 1)[0])
    shown = predict_files(student, tmp_path / "7.dcm", tmp_path / "out", preview=True).cases
    for source in (series, tmp_path / "8.nii.gz"):
        shown += predict_files(volume_student, source, tmp_path / "out", preview=True).cases
    for case in shown:
        picture = np.asarray(Image.open(case["preview"])).astype(int)
        assert Path(case["preview"]).name.endswith("_preview.png")
        assert (np.ptp(picture[: picture.shape[0] // 2], axis=-1) > 30).sum() > 50
    # the series and the file lie at the same place: they look the same
    first, second = (np.asarray(Image.open(case["preview"])) for case in shown[1:])
    assert np.array_equal(first, second)


def test_the_report_names_no_patient(volume_student: Any, student: Any, tmp_path: Path) -> None:
    write_dicom(tmp_path / "in" / "a", organs((1, 2), 1)[0], "MR", SECRET)
    write_dicom(tmp_path / "in" / "b", organs((1, 2), 1)[0], "CT", SECRET)
    command = ["predict", str(tmp_path / "volume_student"), str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    assert main([*command, "--report", str(tmp_path / "report.json"), "--preview", "--format", "seg"]) == 1
    text = (tmp_path / "report.json").read_text()
    content = json.loads(text)
    assert "Secret" not in text and str(tmp_path) not in text
    assert {"kdseg", "python", "torch", "monai"} <= content["versions"].keys() and content["device"] == "cpu"
    assert content["task"] == "tiny" and len(content["student"]) == 16
    (case,) = content["cases"]
    assert case["input"] == "a" and case["output"] == "a_mask.dcm" and case["preview"] == "a_preview.png"
    assert set(case["stages"]) == {"read", "prepare", "network", "finish", "write"}
    assert set(case["ml"]) == {"liver", "spleen"} and case["series"] and len(content["set_aside"]) == 1
    assert (read_mark(tmp_path / "out" / "a_mask.dcm") or {})["student"] == content["student"]


@pytest.mark.parametrize(("answer", "count"), [("y", 1), ("n", 0)])
def test_another_modality_is_asked_for_once(answer: str, count: int, volume_student: Any, tmp_path: Path) -> None:
    for name in "ab":
        write_dicom(tmp_path / "in" / name, organs((1, 2), 1)[0], "CT", name)
    asked: list[str] = []

    def ask(reason: str) -> bool:
        asked.append(reason)
        return answer == "y"

    done = predict_files(volume_student, tmp_path / "in", tmp_path / "out", ask=ask)
    assert len(done.cases) == 2 * count and len(done.set_aside) == 2 * (1 - count)
    assert len(asked) == 1 and "modality CT" in asked[0] and "--force" in asked[0]


def test_force_takes_another_modality(volume_student: Any, tmp_path: Path) -> None:
    series = write_dicom(tmp_path / "series", organs((1, 2), 1)[0], "CT", "1")
    assert "--force" in predict_files(volume_student, series, tmp_path / "out").set_aside[0]
    assert len(predict_files(volume_student, series, tmp_path / "out", force=True, formats=["seg"]).cases) == 1


def test_the_next_is_read_while_the_network_is_at_work(
    student: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no more than that one: three cases are in memory at most."""
    from kdseg.deploy.predict import _Steps

    events: list[tuple[str, str]] = []
    for name in ("read", "segment"):
        usual = getattr(_Steps, name)

        def told(self: Any, *given: Any, name: str = name, usual: Any = usual) -> Any:
            events.append((name, given[-1].shown))
            result = usual(self, *given)
            events.append((f"{name} done", given[-1].shown))
            return result

        monkeypatch.setattr(_Steps, name, told)
    predict_files(student, pictures(tmp_path / "in", 6), tmp_path / "out")
    for number in range(4):
        this, following, later = (f"{number + step}.png" for step in range(3))
        assert events.index(("read", following)) < events.index(("segment done", this))
        assert events.index(("segment done", this)) < events.index(("read", later))
