"""The commands on a tiny set: train, distill, evaluate, predict, as the README has them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kdseg.cli.main import main
from kdseg.phantom import write_phantom_set

SMALL = ["epochs=1", "steps_per_epoch=1", "val_interval=1", "batch_size=2", "patch_size=[32,32]", "mlflow=false"]
SMALL += ["teacher_def#base_channels=3"]
SETTINGS = [part for setting in SMALL for part in ("--set", setting)]


def test_the_readmes_way_from_images_to_masks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_phantom_set(tmp_path / "data", count=8, unlabelled=1, size=64)
    datalist = str(tmp_path / "angio.json")
    assert main(["prepare", "coronary_angiogram", str(tmp_path / "data"), "--out", datalist]) == 0
    teacher, alone, student = (str(tmp_path / name) for name in ("teacher", "alone", "student"))
    common = ["coronary_angiogram", "--datalist", datalist, *SETTINGS]
    assert main(["train", *common, "--teacher-network", "--output-dir", teacher]) == 0
    assert main(["train", *common, "--output-dir", alone]) == 0
    distilled = ["--method", "lightvessel", "--teacher", f"{teacher}/model.pt", "--output-dir", student]
    assert main(["distill", *common, *distilled]) == 0
    capsys.readouterr()
    assert main(["evaluate", *common, "--output-dir", student, "--method", "lightvessel", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert 0 <= summary["metrics"]["dice"]["mean"] <= 1
    assert main(["evaluate", *common, "--output-dir", teacher, "--teacher-network"]) == 0
    assert "cldice" in capsys.readouterr().out
    run = ["coronary_angiogram", str(tmp_path / "data" / "images"), "--checkpoint", f"{student}/model.pt"]
    assert main(["predict", *run, "--output-dir", str(tmp_path / "masks"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["segmented"] == 8 and not told["set_aside"]
    assert len(list((tmp_path / "masks").glob("*.nii.gz"))) == 8
    (tmp_path / "data" / "images" / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM\1\2")
    assert main(["predict", *run, "--output-dir", str(tmp_path / "again"), "--frame", "best"]) == 1
    assert "set aside: broken.dcm" in capsys.readouterr().out


def test_overlays_of_the_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_phantom_set(tmp_path / "data", count=8, unlabelled=1, size=64)
    datalist = str(tmp_path / "angio.json")
    assert main(["prepare", "coronary_angiogram", str(tmp_path / "data"), "--out", datalist]) == 0
    common = ["coronary_angiogram", "--datalist", datalist, *SETTINGS]
    teacher, student = str(tmp_path / "teacher"), str(tmp_path / "student")
    assert main(["train", *common, "--teacher-network", "--output-dir", teacher]) == 0
    run = ["distill", *common, "--teacher", f"{teacher}/model.pt", "--output-dir", student, "--method", "kd"]
    assert main([*run, "--overlay", "semi_supervised"]) == 0
    assert (tmp_path / "student" / "model.pt").is_file()
    capsys.readouterr()
    assert main([*run, "--overlay", "semi_supervized"]) == 2
    assert "did you mean 'semi_supervised'?" in capsys.readouterr().err
