"""What is particular to the bundle of angiograms: every method, cines, spacing, and MONAI's own command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch

from kdseg.configuration import compose_bundle
from kdseg.deploy import load, predict_files
from kdseg.distill import METHODS
from tests.bundles.processes import monai_command
from tests.bundles.tiny_bundles import CORONARY, for_monai


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with phantoms, their data list, a teacher and a student."""
    folder = tmp_path_factory.mktemp("coronary")
    CORONARY.prepare(folder)
    CORONARY.train_teacher(folder)
    CORONARY.run(["train"], folder, "alone")
    return folder


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_trains(work: Path, method: str) -> None:
    changes = {"batch_size": 4} if method in ("sp", "rkd") else {}
    CORONARY.distill(work, f"with_{method}", method=method, **changes)
    saved, alone = (torch.load(work / name / "model.pt", weights_only=True) for name in (f"with_{method}", "alone"))
    # the student alone: none of the adapters, discriminators and paraphrasers
    assert {key: value.shape for key, value in saved.items()} == {key: value.shape for key, value in alone.items()}


def test_a_method_of_the_users_own(work: Path) -> None:
    own = {
        "soft": {"loss": "logits", "temperature": 2.0},
        "similar": {"loss": "feature_similarity", "taps": ["enc2", "up2"]},
    }
    workflow = CORONARY.distill(work, "own", method=own)
    assert set(workflow.parser.get_parsed_content("distiller").terms) == {"soft", "similar"}


def test_alone_and_distilled_start_from_the_same_weights(work: Path) -> None:
    starts = []
    for layers, extra in ((["train"], {}), (["train", "distill"], {"teacher": str(work / "teacher")})):
        settings = CORONARY.settings(work, "start", **extra)
        parser = compose_bundle(CORONARY.folder, layers, settings, own_logging=False).parser
        parser.get_parsed_content("initialize", lazy=False)
        parser.get_parsed_content("train#trainer")
        starts.append({k: v.clone() for k, v in parser.get_parsed_content("student").state_dict().items()})
    assert all(torch.equal(starts[0][name], starts[1][name]) for name in starts[0])


def test_masks_of_cines_have_all_frames_and_the_spacing(work: Path, tmp_path: Path) -> None:
    study = work / "mixed" / "images"
    done = predict_files(load(work / "alone", frame="all"), study, tmp_path)
    masks = {case["output"]: nibabel.load(case["output"]) for case in done.cases}
    assert len(masks) == 8
    frames = [case["frames"] for case in done.cases]
    assert [image.shape[3] if image.ndim > 3 else 1 for image in masks.values()] == frames
    assert max(frames) >= 6, "the fifth phantom is a cine: its frames are the fourth axis"
    for image in masks.values():
        assert abs(image.header.get_zooms()[0] - 1) > 1e-3, "ImagerPixelSpacing is carried on"
        assert set(np.unique(image.dataobj)) <= {0, 1} and image.get_data_dtype() == np.uint8
    best = predict_files(load(work / "alone"), study, tmp_path / "best")
    assert {case["frames"] for case in best.cases} == {1}


@pytest.mark.parametrize("checked", [True, False])
def test_monais_own_command_trains(work: Path, checked: bool) -> None:
    output = f"by_monai_{checked}"
    words = monai_command(CORONARY.folder, ["train"], CORONARY.settings(work, output), workflow=checked)
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(work / name / "model.pt", weights_only=True) for name in ("alone", output))
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_overrides_and_lists_of_files_through_monais_command(work: Path, tmp_path: Path) -> None:
    """As docs/README.md of the bundle has it: files laid over each other, settings of the task and of the training."""
    changes: dict[str, Any] = {"teacher": [str(work / "teacher"), str(work / "teacher" / "model.pt")], "clahe": True}
    known = CORONARY.settings(work, "list", method="kd", learning_rate=0.5, **changes)
    words = monai_command(CORONARY.folder, ["train", "distill"], known)
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=120)
    # the teacher was not trained with CLAHE
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "the teacher's pre-processing" in done.stderr
    del known["clahe"]
    words = monai_command(CORONARY.folder, ["train", "distill"], known)
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "the mean of 2 networks" in done.stdout
    student = load(work / "list")
    assert student.history["learning_rate"] == 0.5 and student.task.network["base_channels"] == 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"epoch": 3}, "did you mean 'epochs'?"),
        ({"datalist": "none.json"}, "none.json"),
        ({"clahee": True}, "did you mean 'clahe'?"),
    ],
)
def test_monais_command_tells_a_wrong_setting_in_one_line(work: Path, changes: dict[str, Any], told: str) -> None:
    words = monai_command(CORONARY.folder, ["train"], {**CORONARY.settings(work, "wrong"), **changes})
    if "clahee" in changes:
        words = [word.replace("--clahee", "--task#clahee") for word in words]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=120)
    assert done.returncode != 0 and "Traceback" not in done.stderr and told in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.startswith("kdseg: ")]) == 1
    assert not (work / "wrong").exists()


def test_settings_for_monai_are_the_tasks_own() -> None:
    known = for_monai({"epochs": 1, "network#base_channels": 2, "clahe": True}, Path("folder"))
    task = {"task#network": {"base_channels": 2}, "task#clahe": True}
    assert known == {"bundle_root": "folder", "epochs": 1, **task}
