"""Inference and evaluation on real series: a DICOM series and a NIfTI file of it give the same mask in the world."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from kdseg.configuration import bundle_folder
from kdseg.deploy import evaluate, load, predict_files
from kdseg.task import open_trained, read_task
from tests.data.make_files import prepare_task
from tests.tasks import trained_folder

# TotalSegmentator's numbers of the eight organs
ORGANS = {52: "aorta", 4: "gallbladder", 3: "left_kidney", 2: "right_kidney"}
ORGANS |= {5: "liver", 7: "pancreas", 1: "spleen", 6: "stomach"}


def student(folder: Path, bundle: str) -> Path:
    """A network that was not trained, but marks something: what it marks depends on every voxel's value and place."""
    task = read_task(bundle_folder(bundle)).changed({"network": {"name": "enet"}, "patch_size": [64, 64]})
    # no distances: between the surfaces of noise, which this network marks, they take a minute
    task = task.changed({"metrics": ["dice", "dice_transunet"] if bundle == "synapse_multiorgan" else ["dice"]})
    trained_folder(folder, task)
    return folder


def canonical(path: Path) -> tuple[np.ndarray, np.ndarray]:
    image = nibabel.as_closest_canonical(nibabel.load(path))
    return np.asarray(image.dataobj), image.affine


def masks(trained: Path, source: Path, output: Path) -> list[Path]:
    done = predict_files(load(trained, device="cpu"), source, output)
    assert done.set_aside == []
    return [Path(case["output"]) for case in done.cases]


def assert_same_in_the_world(one: Path, other: Path) -> None:
    (first, first_affine), (second, second_affine) = canonical(one), canonical(other)
    assert np.allclose(first_affine, second_affine, atol=1e-3) and first.shape == second.shape
    assert first.any() and not first.all()
    assert (first != second).mean() < 1e-4


def test_abdominal_ct(shared_data: Path, tmp_path: Path) -> None:
    import SimpleITK

    series = shared_data / "abdomen_ct" / "dicom"
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(series)))
    converted = tmp_path / "converted.nii.gz"
    # stored the other way round: the same voxels at the same places
    SimpleITK.WriteImage(SimpleITK.DICOMOrient(reader.Execute(), "RAS"), str(converted))
    trained = student(tmp_path / "student", "synapse_multiorgan")
    from_dicom = masks(trained, series, tmp_path / "dicom")
    from_nifti = masks(trained, converted, tmp_path / "nifti")
    assert [path.name for path in from_dicom] == ["dicom_mask.nii.gz"]
    assert_same_in_the_world(from_dicom[0], from_nifti[0])


def test_prostate_mri(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "prostate_mri"
    trained = student(tmp_path / "student", "prostate_mri")
    from_dicom = masks(trained, folder / "dicom_0000", tmp_path / "dicom")
    from_nifti = masks(trained, folder / "0000_t2.nii.gz", tmp_path / "nifti")
    assert_same_in_the_world(from_dicom[0], from_nifti[0])


@pytest.mark.parametrize("bundle", ["synapse_multiorgan", "prostate_mri"])
def test_prepare_and_evaluate(bundle: str, shared_data: Path, tmp_path: Path) -> None:
    folder = "abdomen_ct" if bundle == "synapse_multiorgan" else "prostate_mri"
    source = tmp_path / "source"
    for path in (shared_data / folder).rglob("*"):
        link = source / path.relative_to(shared_data / folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            link.symlink_to(path)
    if bundle == "synapse_multiorgan":
        (source / "labels.json").write_text(json.dumps({n: ORGANS.get(n, f"other_{n}") for n in range(1, 118)}))
    result = prepare_task(bundle, source, tmp_path / "list.json", fractions=(0.5, 0, 0.5))
    assert result.counts["training"] == result.counts["test"] == 1
    reasons = [problem["reason"] for problem in result.problems]
    assert reasons == ([] if bundle == "synapse_multiorgan" else ["the same values as case 0000_t2"])
    listed = json.loads((tmp_path / "list.json").read_text())
    # of the abdomens the one in DICOM
    section = next(part for part in ("test", "training") if bundle == "prostate_mri" or _is_dicom(listed[part][0]))
    trained = open_trained(student(tmp_path / "student", bundle))
    evaluate(trained, tmp_path / "list.json", section, output_dir=tmp_path / "measured", mlflow=False)
    with (tmp_path / "measured" / "cases.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert 0 <= float(row["dice"]) < 0.5
    assert ("site" in row) == (bundle == "prostate_mri")


def _is_dicom(record: dict[str, Any]) -> bool:
    return not record["image"].endswith(".nii.gz")
