"""The bundle as its users run it: every composition on tiny phantoms in XA DICOM."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigWorkflow, ckpt_export, onnx_export, verify_metadata, verify_net_in_out
from PIL import Image

from kdseg.configuration import bundle_folder, run_bundle
from kdseg.distill import METHODS
from kdseg.errors import UserError, user_error_in
from kdseg.phantom import write_phantom_set
from tests.bundles.processes import run_without_kdseg
from tests.data.make_files import prepare_task

BUNDLE = bundle_folder("coronary_angiogram")
CONFIGS = BUNDLE / "configs"
COMPOSITIONS = [
    (["train"], "train"),
    (["train", "train_teacher"], "train"),
    (["train", "distill"], "train"),
    (["train", "evaluate"], "train"),
    (["train", "train_teacher", "evaluate"], "train"),
    (["train", "multi_gpu_train"], "train"),
    (["train", "distill", "multi_gpu_train"], "train"),
    (["train", "distill", "semi_supervised"], "train"),
    (["inference"], "infer"),
    (["inference", "inference_dicom"], "infer"),
]
TINY: dict[str, Any] = {
    "epochs": 2,
    "steps_per_epoch": 2,
    "val_interval": 1,
    "batch_size": 2,
    "patch_size": [32, 32],
    "teacher_def#base_channels": 3,
    "paraphraser_steps": 2,
    "mlflow": False,
}
# the keys of TINY that belong to the distillation alone
PLAIN = {key: value for key, value in TINY.items() if key != "paraphraser_steps"}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with phantoms, their data list and a trained teacher."""
    folder = tmp_path_factory.mktemp("coronary")
    write_phantom_set(folder / "data", count=8, unlabelled=2, size=64)
    prepare_task("coronary_angiogram", folder / "data", folder / "list.json")
    run_bundle(BUNDLE, ["train", "train_teacher"], settings(folder, "teacher"))
    return folder


def settings(work: Path, output: str, **changes: Any) -> dict[str, Any]:
    return {**PLAIN, "datalist": str(work / "list.json"), "output_dir": str(work / output), **changes}


def distill(work: Path, output: str, method: Any, **changes: Any) -> ConfigWorkflow:
    known = {"method": method, "teacher": str(work / "teacher" / "model.pt"), "paraphraser_steps": 2, **changes}
    return run_bundle(BUNDLE, ["train", "distill"], settings(work, output, **known))


@pytest.mark.parametrize(("layers", "kind"), COMPOSITIONS, ids=["+".join(layers) for layers, _ in COMPOSITIONS])
def test_every_composition_has_monais_properties(
    work: Path, layers: list[str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}.items():
        monkeypatch.setenv(name, value)
    known = settings(work, "properties") if kind == "train" else {"dataset_dir": str(work / "data" / "images")}
    if "distill" in layers:
        known["teacher"] = str(work / "teacher" / "model.pt")
    files = [str(CONFIGS / f"{layer}.json") for layer in layers]
    workflow = ConfigWorkflow(files, workflow_type=kind, logging_file=False, **known)
    # MONAI 1.6.1 evaluates the properties, so it wants the workflow initialised
    workflow.initialize()
    try:
        assert workflow.check_properties() == []
    finally:
        workflow.finalize()


def test_metadata(tmp_path: Path) -> None:
    schema = shutil.copy(Path(__file__).with_name("meta_schema.json"), tmp_path)
    verify_metadata(meta_file=str(CONFIGS / "metadata.json"), filepath=str(schema))
    metadata = json.loads((CONFIGS / "metadata.json").read_text())
    assert metadata["version"] in metadata["changelog"]


@pytest.mark.parametrize("config", ["train", "inference"])
def test_the_network_takes_and_gives_what_the_metadata_say(config: str) -> None:
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(CONFIGS / "metadata.json"),
        config_file=str(CONFIGS / f"{config}.json"),
        device="cpu",
        n=2,
        any=32,
    )


def test_the_student_alone_trains_and_saves_itself_only(work: Path) -> None:
    workflow = run_bundle(BUNDLE, ["train"], settings(work, "alone"))
    student = workflow.parser.get_parsed_content("student")
    saved = torch.load(work / "alone" / "model.pt", weights_only=True)
    assert set(saved) == set(student.state_dict())


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_trains(work: Path, method: str) -> None:
    changes = {"batch_size": 4} if method in ("sp", "rkd") else {}
    distill(work, f"with_{method}", method, epochs=1, **changes)
    saved = torch.load(work / f"with_{method}" / "model.pt", weights_only=True)
    plain = torch.load(work / "teacher" / "model.pt", weights_only=True)
    # the student alone: the teacher's names, none of the adapters' or discriminators', and its own narrower shapes
    assert set(saved) == set(plain)
    assert all(saved[name].numel() >= plain[name].numel() or "weight" not in name for name in saved)


def test_unlabelled_images_join_the_training(work: Path) -> None:
    known = settings(work, "semi", method="kd", teacher=str(work / "teacher" / "model.pt"), epochs=1, batch_size=4)
    workflow = run_bundle(BUNDLE, ["train", "distill", "semi_supervised"], {**known, "labelled_cases": 1})
    batch = next(iter(workflow.parser.get_parsed_content("train#dataloader")))
    ignored = (batch["label"] == 255).flatten(1).all(1)
    assert ignored.tolist() == [False, False, True, True]
    engine = workflow.parser.get_parsed_content("train#trainer")
    assert np.isfinite(engine.state.term_means["supervised"]) and engine.state.term_means["logits"] > 0


def test_a_method_of_the_users_own(work: Path) -> None:
    own = {
        "soft": {"loss": "logits", "temperature": 2.0},
        "similar": {"loss": "feature_similarity", "taps": ["enc2", "dec2"]},
    }
    workflow = distill(work, "own", own)
    assert set(workflow.parser.get_parsed_content("distiller").terms) == {"soft", "similar"}


def test_alone_and_distilled_start_from_the_same_weights(work: Path) -> None:
    starts = []
    for layers, extra in ((["train"], {}), (["train", "distill"], {"teacher": str(work / "teacher" / "model.pt")})):
        files = [str(CONFIGS / f"{layer}.json") for layer in layers]
        workflow = ConfigWorkflow(files, logging_file=False, **settings(work, "start", **extra))
        workflow.initialize()
        workflow.parser.get_parsed_content("train#trainer")
        starts.append({k: v.clone() for k, v in workflow.parser.get_parsed_content("student").state_dict().items()})
    assert all(torch.equal(starts[0][name], starts[1][name]) for name in starts[0])


def test_evaluation_writes_a_row_for_each_test_case(work: Path) -> None:
    run_bundle(BUNDLE, ["train", "train_teacher", "evaluate"], settings(work, "teacher"))
    folder = work / "teacher" / "evaluation_test"
    with (folder / "cases.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    tested = json.loads((work / "list.json").read_text())["test"]
    assert sorted(row["case"] for row in rows) == sorted(case["case"] for case in tested)
    assert {"dice", "cldice", "iou", "sensitivity", "specificity", "auc", "hd95_px", "hd95_mm"} <= set(rows[0])
    assert (folder / "overlays.png").stat().st_size > 1000
    # phantoms have ImagerPixelSpacing: a distance in mm is known wherever one in pixels is
    assert any(row["hd95_px"] not in ("", "nan", "inf") for row in rows) <= any(row["hd95_mm"] != "" for row in rows)


def test_inference_segments_a_folder_and_sets_bad_files_aside(work: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    for path in sorted((work / "data" / "images").glob("*.dcm"))[:5]:
        shutil.copy(path, study)
    (study / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\1" * 40)
    run = {
        "dataset_dir": str(study),
        "output_dir": str(tmp_path / "masks"),
        "checkpoint": str(work / "alone" / "model.pt"),
    }
    if not (work / "alone" / "model.pt").is_file():
        run_bundle(BUNDLE, ["train"], settings(work, "alone"))
    with pytest.raises(Exception, match="evaluat") as caught:
        run_bundle(BUNDLE, ["inference", "inference_dicom"], run, kind="infer")
    told = user_error_in(caught.value)
    assert told is not None and told.found == "1 of 6 files that cannot be read"
    masks = sorted((tmp_path / "masks").glob("*.nii.gz"))
    assert len(masks) == 5
    frames = {nibabel.load(path).shape[3:] for path in masks}
    assert any(shape and shape[0] > 1 for shape in frames), (
        "the fifth phantom is a cine: its frames are the fourth axis"
    )
    image = nibabel.load(masks[0])
    assert abs(image.header.get_zooms()[0] - 1) > 1e-3, "ImagerPixelSpacing is carried on"
    assert set(np.unique(image.dataobj)) <= {0, 1}


def test_monais_exports(work: Path, tmp_path: Path) -> None:
    run_bundle(BUNDLE, ["train"], settings(work, "exported"))
    known: dict[str, Any] = {
        "net_id": "network_def",
        "ckpt_file": str(work / "exported" / "model.pt"),
        "meta_file": str(CONFIGS / "metadata.json"),
        "config_file": str(CONFIGS / "inference.json"),
        "key_in_ckpt": "",
        "use_trace": True,
        "input_shape": [1, 1, 32, 32],
    }
    onnx_export(filepath=str(tmp_path / "model.onnx"), **known)
    assert (tmp_path / "model.onnx").stat().st_size > 10_000
    ckpt_export(filepath=str(tmp_path / "model.ts"), **known)
    assert torch.jit.load(tmp_path / "model.ts")(torch.zeros(1, 1, 32, 32)).shape == (1, 1, 32, 32)


def test_two_processes_train_as_one(work: Path) -> None:
    layers = [str(CONFIGS / f"{layer}.json") for layer in ("train", "distill", "multi_gpu_train")]
    known = settings(work, "two", method="lightvessel", teacher=str(work / "teacher" / "model.pt"), epochs=1)
    flags = [part for key, value in known.items() for part in (f"--{key}", str(value))]
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc_per_node=2",
        "-m",
        "monai.bundle",
    ]
    done = subprocess.run(
        [*command, "run", "--config_file", str(layers), *flags], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (work / "two" / "model.pt").is_file() and done.stdout.count("epoch 1/1") == 1


def test_wrong_settings_are_told_in_one_message(work: Path) -> None:
    with pytest.raises(Exception, match="Failed") as caught:
        distill(work, "wrong", "lightvesel")
    assert "did you mean 'lightvessel'?" in str(user_error_in(caught.value))
    with pytest.raises(Exception, match="Failed") as caught:
        run_bundle(BUNDLE, ["train"], settings(work, "wrong", epoch=3))
    assert "did you mean 'epochs'?" in str(user_error_in(caught.value))
    with pytest.raises(Exception, match="Failed") as caught:
        distill(work, "wrong", "kd", **{"teacher_def#base_channels": 5})
    assert "other shape" in str(user_error_in(caught.value))


def test_monais_own_command_prints_no_traceback(work: Path) -> None:
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(CONFIGS / "train.json")]
    done = subprocess.run(
        [*command, "--datalist", str(work / "none.json")], capture_output=True, text=True, timeout=120
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr and "none.json" in done.stderr


def test_a_copy_of_the_bundle_is_complete(work: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(BUNDLE, tmp_path / "mine"))
    run_bundle(copy, ["train"], {**settings(work, "copied"), "output_dir": str(tmp_path / "out")})
    assert (tmp_path / "out" / "model.pt").is_file()
    with pytest.raises(UserError, match=r"no configs/distil\.json"):
        run_bundle(copy, ["train", "distil"], {})


def test_inference_needs_monai_alone(work: Path, tmp_path: Path) -> None:
    run_bundle(BUNDLE, ["train"], settings(work, "plain"))
    weights = str(work / "plain" / "model.pt")
    copy = Path(shutil.copytree(BUNDLE, tmp_path / "bundle"))
    ckpt_export(
        net_id="network_def",
        filepath=str(copy / "models" / "model.ts"),
        ckpt_file=weights,
        meta_file=str(copy / "configs" / "metadata.json"),
        config_file=str(copy / "configs" / "inference.json"),
        key_in_ckpt="",
        use_trace=True,
        input_shape=[1, 1, 64, 64],
    )
    study = tmp_path / "study"
    study.mkdir()
    picture = np.random.default_rng(0).integers(0, 256, (52, 70), dtype=np.uint8)
    Image.fromarray(picture).save(study / "7.png")
    nibabel.save(nibabel.Nifti1Image(picture.T[..., None], np.diag([0.3, 0.3, 1, 1])), study / "8.nii.gz")
    run_without_kdseg(copy, ["--dataset_dir", str(study), "--output_dir", str(tmp_path / "plain")])
    run = {"dataset_dir": str(study), "output_dir": str(tmp_path / "ours"), "checkpoint": weights}
    run_bundle(BUNDLE, ["inference", "inference_dicom"], run, kind="infer")
    ours = np.asarray(nibabel.load(tmp_path / "ours" / "8_mask.nii.gz").dataobj).squeeze()
    for path in sorted((tmp_path / "plain").rglob("*_mask*")):
        plain = nibabel.load(path)
        assert np.array_equal(np.asarray(plain.dataobj).squeeze(), ours), path
        assert plain.header.get_zooms()[0] == pytest.approx(0.3 if path.name.startswith("8") else 1)
    assert len(list((tmp_path / "plain").rglob("*_mask*"))) == 2
