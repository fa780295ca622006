"""The bundles of volumes as their users run them: every composition on tiny cases, in NIfTI and in DICOM."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow, ckpt_export, onnx_export, verify_metadata, verify_net_in_out

from kdseg.configuration import run_bundle
from tests.bundles.processes import run_in_two_processes, run_without_kdseg
from tests.bundles.tiny_bundles import BUNDLES, FORMS, TinyBundle

COMPOSITIONS = [
    ["train"],
    ["train", "train_teacher"],
    ["train", "distill"],
    ["train", "evaluate"],
    ["train", "multi_gpu_train"],
    ["train", "distill", "semi_supervised"],
    ["train", "train_3d"],
    ["train", "train_3d", "distill"],
    ["train", "train_3d", "evaluate"],
    ["inference"],
    ["inference", "inference_dicom"],
    ["inference", "inference_3d"],
    ["inference", "inference_3d", "inference_dicom"],
]
TINY_3D: dict[str, Any] = {"patch_size": [32, 32, 16], "spacing": [0.8, 0.7, 3.0], "batch_size": 1}
TEACHER_3D = {"teacher_def#base_channels": 2}


@pytest.fixture(scope="module", params=list(BUNDLES.values()), ids=list(BUNDLES))
def bundle(request: pytest.FixtureRequest) -> TinyBundle:
    return request.param


@pytest.fixture(scope="module")
def work(bundle: TinyBundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data in both forms and their lists, and a teacher and a student that were trained on them."""
    folder = tmp_path_factory.mktemp(bundle.name)
    for form in FORMS:
        bundle.prepare(folder, form)
    run_bundle(bundle.folder, ["train", "train_teacher"], settings(bundle, folder, "teacher") | bundle.teacher())
    run_bundle(bundle.folder, ["train"], settings(bundle, folder, "alone"))
    return folder


def settings(bundle: TinyBundle, work: Path, output: str, form: str = "nifti", **changes: Any) -> dict[str, Any]:
    known = {"datalist": str(work / f"{form}.json"), "output_dir": str(work / output)}
    return {**bundle.settings, **known, **changes}


def distillation(bundle: TinyBundle, work: Path) -> dict[str, Any]:
    return {**bundle.teacher(), "teacher": str(work / "teacher" / "model.pt"), "paraphraser_steps": 1}


@pytest.mark.parametrize("layers", COMPOSITIONS, ids="+".join)
def test_every_composition_has_monais_properties(
    bundle: TinyBundle, work: Path, layers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}.items():
        monkeypatch.setenv(name, value)
    kind = "infer" if layers[0] == "inference" else "train"
    known = settings(bundle, work, "properties") if kind == "train" else {"dataset_dir": str(work / "nifti")}
    if "semi_supervised" in layers:
        known |= {"labelled_cases": 1}
    if "train_3d" in layers:
        known |= TINY_3D
    if "distill" in layers:
        known |= distillation(bundle, work)
    if "train_3d" in layers and "distill" in layers:
        known |= {"teacher_def": {**bundle.teacher()["teacher_def"], "spatial_dims": 3}}
        known |= {"teacher": str(three_dimensional_teacher(bundle, work))}
    files = [str(bundle.folder / "configs" / f"{layer}.json") for layer in layers]
    workflow = ConfigWorkflow(files, workflow_type=kind, logging_file=False, **known)
    workflow.initialize()
    try:
        assert workflow.check_properties() == []
    finally:
        workflow.finalize()


def three_dimensional_teacher(bundle: TinyBundle, work: Path) -> Path:
    from kdseg.networks import UNet

    out_channels = 9 if bundle.name == "synapse_multiorgan" else 2
    path = work / "teacher_3d.pt"
    if not path.is_file():
        torch.save(UNet(3, 1, out_channels, base_channels=3).state_dict(), path)
    return path


def test_metadata_and_networks_fit(bundle: TinyBundle, tmp_path: Path) -> None:
    configs = bundle.folder / "configs"
    schema = shutil.copy(Path(__file__).with_name("meta_schema.json"), tmp_path)
    verify_metadata(meta_file=str(configs / "metadata.json"), filepath=str(schema))
    metadata = json.loads((configs / "metadata.json").read_text())
    assert metadata["version"] in metadata["changelog"]
    for config in ("train", "inference"):
        known = {"meta_file": str(configs / "metadata.json"), "config_file": str(configs / f"{config}.json")}
        verify_net_in_out(net_id="network_def", device="cpu", n=2, any=32, **known)


@pytest.mark.parametrize("form", FORMS)
def test_alone_distilled_evaluated_and_predicted(bundle: TinyBundle, work: Path, form: str, tmp_path: Path) -> None:
    known = settings(bundle, work, f"student_{form}", form)
    run_bundle(bundle.folder, ["train", "distill"], known | distillation(bundle, work))
    run_bundle(bundle.folder, ["train", "evaluate"], known)
    with (work / f"student_{form}" / "evaluation_test" / "cases.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    tested = json.loads((work / f"{form}.json").read_text())["test"]
    assert sorted(row["case"] for row in rows) == sorted(record["case"] for record in tested)
    assert bundle.metrics <= set(rows[0])
    assert (work / f"student_{form}" / "evaluation_test" / "overlays.png").stat().st_size > 1000
    run = {"dataset_dir": str(work / form), "output_dir": str(tmp_path), "patch_size": bundle.settings["patch_size"]}
    checkpoint = str(work / f"student_{form}" / "model.pt")
    run_bundle(bundle.folder, ["inference", "inference_dicom"], run | {"checkpoint": checkpoint}, kind="infer")
    # the folder has four images and four label maps, and NIfTI files are all segmented
    assert len(list(tmp_path.rglob("*_mask.nii.gz"))) == 8


def test_dicom_and_nifti_give_the_same_mask_in_the_world(bundle: TinyBundle, work: Path, tmp_path: Path) -> None:
    masks = {}
    for form in FORMS:
        run = {"dataset_dir": str(work / form), "output_dir": str(tmp_path / form)}
        run |= {"checkpoint": str(work / "alone" / "model.pt"), "patch_size": bundle.settings["patch_size"]}
        workflow = run_bundle(bundle.folder, ["inference", "inference_dicom"], run, kind="infer")
        assert workflow.parser.get_parsed_content("dataset").failures == []
        masks[form] = sorted(
            path for path in (tmp_path / form).rglob("*_mask.nii.gz") if "label" not in path.name.lower()
        )
        masks[form] = [path for path in masks[form] if "segmentation" not in path.name.lower()]
    assert len(masks["nifti"]) == len(masks["dicom"]) == 4
    for one, other in zip(masks["nifti"], masks["dicom"], strict=True):
        first, second = nibabel.load(one), nibabel.load(other)
        assert np.allclose(first.affine, second.affine, atol=1e-4)
        assert np.array_equal(np.asarray(first.dataobj), np.asarray(second.dataobj))


def test_every_method_of_the_papers_trains(bundle: TinyBundle, work: Path) -> None:
    for method in bundle.methods[1:]:
        known = settings(bundle, work, f"with_{method}", method=method, **distillation(bundle, work))
        run_bundle(bundle.folder, ["train", "distill"], known)
        saved = torch.load(work / f"with_{method}" / "model.pt", weights_only=True)
        assert set(saved) == set(torch.load(work / "alone" / "model.pt", weights_only=True))


def test_in_three_dimensions(bundle: TinyBundle, work: Path, tmp_path: Path) -> None:
    known = settings(bundle, work, "volume", **TINY_3D)
    teacher = {**known, **TEACHER_3D, "output_dir": str(work / "volume_teacher")}
    run_bundle(bundle.folder, ["train", "train_3d", "train_teacher"], teacher)
    distilled = {**known, **TEACHER_3D, "teacher": str(work / "volume_teacher" / "model.pt"), "method": "kd"}
    run_bundle(bundle.folder, ["train", "train_3d", "distill"], distilled)
    run_bundle(bundle.folder, ["train", "train_3d", "evaluate"], known)
    assert (work / "volume" / "evaluation_test" / "cases.csv").is_file()
    run = {"dataset_dir": str(work / "dicom"), "output_dir": str(tmp_path), "patch_size": TINY_3D["patch_size"]}
    layers = ["inference", "inference_3d", "inference_dicom"]
    run_bundle(bundle.folder, layers, run | {"checkpoint": str(work / "volume" / "model.pt")}, kind="infer")
    assert list(tmp_path.rglob("*_mask.nii.gz"))


def test_unlabelled_cases_join_the_training(bundle: TinyBundle, work: Path) -> None:
    known = settings(bundle, work, "semi", method="kd", labelled_cases=1, **distillation(bundle, work))
    workflow = run_bundle(bundle.folder, ["train", "distill", "semi_supervised"], known)
    batch = next(iter(workflow.parser.get_parsed_content("train#dataloader")))
    assert (batch["label"] == 255).flatten(1).all(1).tolist() == [False, True]


@pytest.fixture(scope="module")
def exported(bundle: TinyBundle, work: Path) -> Path:
    """A copy of the bundle with ``models/model.ts``, made by MONAI's own export."""
    copy = Path(shutil.copytree(bundle.folder, work / "copy"))
    ckpt_export(
        net_id="network_def",
        filepath=str(copy / "models" / "model.ts"),
        ckpt_file=str(work / "alone" / "model.pt"),
        meta_file=str(copy / "configs" / "metadata.json"),
        config_file=str(copy / "configs" / "inference.json"),
        key_in_ckpt="",
        use_trace=True,
        input_shape=list(bundle.input_shape),
    )
    return copy


def test_inference_needs_monai_alone(bundle: TinyBundle, work: Path, exported: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    source = sorted(path for path in (work / "nifti").rglob("*.nii.gz") if not _is_label(path))[0]
    shutil.copy(source, study / "7.nii.gz")
    size = str(list(bundle.input_shape[2:]))
    flags = ["--dataset_dir", str(study), "--output_dir", str(tmp_path / "plain"), "--patch_size", size]
    run_without_kdseg(exported, flags)
    run = {"dataset_dir": str(study), "output_dir": str(tmp_path / "ours"), "patch_size": list(bundle.input_shape[2:])}
    run["checkpoint"] = str(work / "alone" / "model.pt")
    run_bundle(exported, ["inference", "inference_dicom"], run, kind="infer")
    masks = [nibabel.load(tmp_path / name / "7_mask.nii.gz") for name in ("plain", "ours")]
    assert np.allclose(masks[0].affine, masks[1].affine) and masks[0].get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(masks[0].dataobj), np.asarray(masks[1].dataobj))


def _is_label(path: Path) -> bool:
    return any(word in path.name.lower() for word in ("label", "segmentation"))


def test_onnx_export(bundle: TinyBundle, work: Path, tmp_path: Path) -> None:
    configs = bundle.folder / "configs"
    onnx_export(
        net_id="network_def",
        filepath=str(tmp_path / "model.onnx"),
        ckpt_file=str(work / "alone" / "model.pt"),
        meta_file=str(configs / "metadata.json"),
        config_file=str(configs / "inference.json"),
        key_in_ckpt="",
        use_trace=True,
        input_shape=list(bundle.input_shape),
    )
    assert (tmp_path / "model.onnx").stat().st_size > 10_000


def test_a_copy_trains(bundle: TinyBundle, exported: Path, work: Path) -> None:
    known = settings(bundle, work, "copied", cache_dir=str(work / "cache"))
    run_bundle(exported, ["train"], known)
    assert (work / "copied" / "model.pt").is_file() and list((work / "cache").rglob("*.pt"))


def test_two_processes(bundle: TinyBundle, work: Path) -> None:
    known = settings(bundle, work, "two", **{**distillation(bundle, work), "method": "kd"})
    told: Callable[[str], int] = run_in_two_processes(
        bundle.folder, ["train", "distill", "multi_gpu_train"], known
    ).count
    assert (work / "two" / "model.pt").is_file() and told("epoch 1/1") == 1
