"""Settings that do not fit a bundle: one message, and nothing is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kdseg.cli.main import main
from kdseg.configuration import run_bundle
from kdseg.data import load_datalist
from kdseg.errors import UserError, user_error_in
from tests.bundles.tiny_bundles import CORONARY


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("settings")
    CORONARY.prepare(folder)
    CORONARY.train_teacher(folder)
    CORONARY.run(["train"], folder, "alone")
    return folder


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"epoch": 3}, r"did you mean 'epochs'\?"),
        ({"epochs": "many", "val_interval": "$min(2, @epochs)"}, r'"\$min\(2, @epochs\)": found TypeError'),
        ({"device": "$torch.device('gpu')"}, "found RuntimeError"),
        ({"loss#_target_": "kdseg.losses.SegmentationLos"}, "Cannot locate"),
        ({"loss#hed": "sigmoid"}, "unexpected keyword argument 'hed'"),
        ({"mlflow": "false"}, "found the text 'false'"),
        ({"output_dir#part": 1}, "a key without a place"),
        ({"task#clahee": True}, r"did you mean 'clahe'\?"),
        ({"clahee": True}, r"did you mean 'clahe'\?"),
        ({"clahe": "yes"}, 'found clahe "yes"; expected type boolean'),
        ({"frame": "first"}, "best"),
        ({"patch_size": [32, 32, 32]}, "patch_size of 3 sides"),
        ({"dimensions": 3}, "pictures and dimensions 3"),
        ({"network": {"name": "thin_unett"}}, r"did you mean 'thin_unet'\?"),
        ({"network": {"name": "no_such_package.Net"}}, "No module named"),
        ({"network#base_chanels": 3}, r"did you mean 'base_channels'\?"),
        ({"network#name": "enet"}, "base_channels"),
        ({"teacher_def#base_channels": 4, "teacher": "weights alone", "method": "kd"}, "other shape"),
        ({"method": "lightvesel", "teacher": "teacher"}, r"did you mean 'lightvessel'\?"),
        ({"teacher": "none", "method": "kd"}, "no such file"),
        ({"datalist": "none.json"}, "none.json"),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, dict) else "",
)
def test_a_wrong_setting_is_told_in_one_line(work: Path, changes: dict[str, Any], told: str) -> None:
    places = {"weights alone": alone(work), "teacher": work / "teacher", "none": work / "none"}
    changes = {key: str(places.get(value, value)) if key == "teacher" else value for key, value in changes.items()}
    layers = ["train", "distill"] if "teacher" in changes else ["train"]
    with pytest.raises((UserError, RuntimeError, ModuleNotFoundError)) as caught:
        run_bundle(CORONARY.folder, layers, CORONARY.settings(work, "wrong", **changes))
    error = user_error_in(caught.value)
    assert error is not None and "\n" not in str(error)
    with pytest.raises(UserError, match=told):
        raise error
    assert not (work / "wrong").exists()


def alone(work: Path) -> Path:
    """The teacher's weights without their task."""
    path = work / "weights" / "model.pt"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes((work / "teacher" / "model.pt").read_bytes())
    return path


def test_a_setting_of_the_students_network_does_not_change_the_teachers(work: Path) -> None:
    with pytest.raises(UserError, match="teacher_def#base_channels"):
        run_bundle(CORONARY.folder, ["train", "train_teacher"], CORONARY.settings(work, "wrong"))


@pytest.mark.parametrize("setting", ["epoch=3", "clahee=true", "clahe=yes", "epochs", "network#base_chanels=3"])
def test_the_command_says_so_too(work: Path, setting: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "coronary_angiogram", "--datalist", str(work / "mixed.json"), "--set", setting]
    assert main([*command, "--output-dir", str(work / "wrong")]) == 2
    told = capsys.readouterr().err
    assert told.startswith("kdseg train: ") and told.count("\n") == 1 and "To mend it: " in told
    assert not (work / "wrong").exists()


def test_json_stands_alone(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", str(work / "alone"), "--datalist", str(work / "mixed.json"), "--json", "--no-mlflow"]
    assert main(command) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["cases"] == len(load_datalist(work / "mixed.json", "test")) and told.err == ""


def test_what_was_measured_is_told(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    CORONARY.run(["train", "evaluate"], work, "alone")
    told = capsys.readouterr().out
    assert (
        f"{len(load_datalist(work / 'mixed.json', 'test'))} cases: dice " in told
        and "val_mean_dice" in told
        and "cases.csv" in told
    )


def test_a_bundle_without_weights(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["predict", str(CORONARY.folder), str(work / "mixed"), "--output-dir", str(tmp_path / "masks")]
    assert main(command) == 2
    assert "a task without weights" in capsys.readouterr().err and not (tmp_path / "masks").exists()
