"""What is particular to the bundles of volumes: DICOM and NIfTI alike, and three dimensions."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from kdseg.cli.main import main
from kdseg.configuration import run_bundle
from kdseg.deploy import evaluate, load, predict_files
from kdseg.task import network, open_trained, read_task
from tests.bundles.tiny_bundles import FORMS, VOLUMES, TinyBundle


@pytest.fixture(scope="module", params=list(VOLUMES.values()), ids=list(VOLUMES))
def bundle(request: pytest.FixtureRequest) -> TinyBundle:
    return request.param


@pytest.fixture(scope="module")
def work(bundle: TinyBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data in both forms and their lists, and a student of each."""
    folder = tmp_path_factory.mktemp(bundle.name)
    for form in FORMS:
        bundle.prepare(folder, form)
        bundle.run(["train"], folder, f"alone_{form}", form)
    return folder


def images(folder: Path) -> list[Path]:
    """Masks of images; the label maps among the files are segmented too, for nobody says that they are none."""
    masks = folder.rglob("*_mask.nii.gz")
    return sorted(path for path in masks if not any(word in path.name.lower() for word in ("label", "segmentation")))


def test_dicom_and_nifti_give_the_same_mask_in_the_world(bundle: TinyBundle, work: Path, tmp_path: Path) -> None:
    student = load(work / "alone_nifti")
    for form in FORMS:
        done = predict_files(student, work / form, tmp_path / form)
        assert done.set_aside == [] and len(images(tmp_path / form)) == 4
    for one, other in zip(images(tmp_path / "nifti"), images(tmp_path / "dicom"), strict=True):
        first, second = nibabel.load(one), nibabel.load(other)
        assert np.allclose(first.affine, second.affine, atol=1e-4)
        assert np.array_equal(np.asarray(first.dataobj), np.asarray(second.dataobj))


def test_both_forms_are_measured_alike(bundle: TinyBundle, work: Path, tmp_path: Path) -> None:
    scores: dict[str, dict[str, float]] = {form: {} for form in FORMS}
    for form in FORMS:
        for section in ("training", "validation", "test"):
            trained = open_trained(work / "alone_nifti")
            evaluate(trained, work / f"{form}.json", section, output_dir=tmp_path / form, mlflow=False)
            with (tmp_path / form / "cases.csv").open() as stream:
                for row in csv.DictReader(stream):
                    # img0001 as NIfTI is the folder 0001 as DICOM
                    scores[form][row["case"].removeprefix("img")] = float(row["dice"])
    assert len(scores["nifti"]) == 4 and scores["nifti"] == pytest.approx(scores["dicom"])


def test_in_three_dimensions(bundle: TinyBundle, work: Path, tmp_path: Path, capsys: Any) -> None:
    known = {**bundle.volume, "batch_size": 1}
    bundle.train_teacher(work, "train_3d", output="teacher_3d", **known)
    settings = bundle.settings(work, "student_3d", teacher=str(work / "teacher_3d"), method="kd", **known)
    run_bundle(bundle.folder, ["train", "train_3d", "distill"], settings)
    trained = open_trained(work / "student_3d")
    assert trained.task.dimensions == 3 and trained.task.patch_size == bundle.volume["patch_size"]
    assert all(value.ndim != 4 for value in trained.network().state_dict().values())
    # nothing of it has to be said again
    command = ["evaluate", str(work / "student_3d"), "--datalist", str(work / "dicom.json"), "--no-mlflow"]
    assert main([*command, "--output-dir", str(tmp_path / "of_3d")]) == 0
    assert main(["predict", str(work / "student_3d"), str(work / "dicom"), "--output-dir", str(tmp_path)]) == 0
    assert len(images(tmp_path)) == 4 and capsys.readouterr().err == ""
    again = bundle.settings(work, "student_3d", "dicom", evaluation_dir=str(tmp_path / "by_bundle"), **known)
    run_bundle(bundle.folder, ["train", "train_3d", "evaluate"], again)
    first, second = (tmp_path / name / "cases.csv" for name in ("of_3d", "by_bundle"))
    assert first.read_text() == second.read_text()


def test_the_sizes_of_the_published_tasks(bundle: TinyBundle) -> None:
    task = read_task(bundle.folder)
    made = network(task).eval()
    with torch.no_grad():
        logits = made(torch.zeros(task.input_shape))
    assert logits.shape == (1, task.out_channels, *task.patch_size)
    published = {"synapse_multiorgan": (1, 9, [224, 224]), "prostate_mri": (3, 2, [384, 384])}
    assert (task.in_channels, task.out_channels, task.patch_size) == published[bundle.name]
