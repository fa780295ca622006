"""Settings that do not fit a bundle: one message. And a training goes on only with the same ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from monai.bundle import ConfigWorkflow

from kdseg.cli.main import main
from kdseg.configuration import bundle_folder, run_bundle
from kdseg.errors import UserError, user_error_in
from kdseg.phantom import write_phantom_set
from tests.data.make_files import prepare_task

BUNDLE = bundle_folder("coronary_angiogram")
TINY: dict[str, Any] = {"epochs": 1, "steps_per_epoch": 1, "batch_size": 2, "patch_size": [32, 32], "mlflow": False}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("settings")
    write_phantom_set(folder / "data", count=8, unlabelled=0, size=64)
    prepare_task("coronary_angiogram", folder / "data", folder / "list.json")
    train(folder, "alone")
    return folder


def train(work: Path, output: str, **changes: Any) -> ConfigWorkflow:
    known = {**TINY, "datalist": str(work / "list.json"), "output_dir": str(work / output), **changes}
    return run_bundle(BUNDLE, ["train"], known)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"epochs": "many"}, r'"\$min\(2, @epochs\)": found TypeError'),
        ({"device": "$torch.device('gpu')"}, "found RuntimeError"),
        ({"network_def#_target_": "kdseg.networks.ThinUnet"}, "Cannot locate"),
        ({"network_def#base_chanels": 3}, "unexpected keyword argument 'base_chanels'"),
        ({"mlflow": "false"}, "found the text 'false'"),
        ({"output_dir#part": 1}, "a key without a place"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(work: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises((UserError, RuntimeError, ModuleNotFoundError)) as caught:
        train(work, "wrong", **changes)
    error = user_error_in(caught.value)
    assert error is not None and "\n" not in str(error)
    with pytest.raises(UserError, match=told):
        raise error


@pytest.mark.parametrize("changes", [{"learning_rate": 0.5}, {"clahe": True}, {"batch_size": 3}])
def test_another_training_does_not_go_on_from_this_one(work: Path, changes: dict[str, Any]) -> None:
    with pytest.raises((UserError, RuntimeError, ModuleNotFoundError)) as caught:
        train(work, "alone", **changes)
    told = user_error_in(caught.value)
    assert told is not None and "other settings" in told.found


def test_the_same_training_goes_on_wherever_it_runs(work: Path) -> None:
    workflow = train(work, "alone", num_workers=1, cache_dir=str(work / "cache"))
    assert workflow.parser.get_parsed_content("train#trainer").state.iteration == 1


def test_json_stands_alone(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "coronary_angiogram", "--datalist", str(work / "list.json"), "--json"]
    assert main([*command, "--output-dir", str(work / "alone")]) == 0
    assert json.loads(capsys.readouterr().out)["cases"] == 3


def test_what_was_measured_is_told(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = {"datalist": str(work / "list.json"), "output_dir": str(work / "alone"), "mlflow": False}
    run_bundle(BUNDLE, ["train", "evaluate"], known)
    told = capsys.readouterr().out
    assert "3 cases: dice " in told and "val_mean_dice" in told and "cases.csv" in told


def test_a_bundle_without_weights(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "coronary_angiogram", str(work / "data")]) == 2
    assert "--checkpoint" in capsys.readouterr().err


def test_a_checkpoint_that_is_text(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("model.ts", "model.pt"):
        (tmp_path / name).write_text("no weights")
        command = ["predict", "coronary_angiogram", str(work / "data"), "--checkpoint", str(tmp_path / name)]
        assert main([*command, "--output-dir", str(tmp_path / "masks")]) == 2
        assert "torch.load" in capsys.readouterr().err
