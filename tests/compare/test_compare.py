"""The comparison as its users run it: tiny networks on a few phantoms."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

from kdseg.cli.main import main
from kdseg.configuration import bundle_folder, run_bundle
from kdseg.distill import METHODS
from kdseg.phantom import write_phantom_set
from tests.data.make_files import prepare_task

SMALL = ["batch_size=2", "crop_size=[32,32]", "teacher_def#base_channels=3", "network#base_channels=2"]
SMALL += ["paraphraser_steps=2", "steps_per_epoch=2"]
METRICS = {"dice", "cldice", "iou", "sensitivity", "specificity"}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    write_phantom_set(folder / "data", count=9, unlabelled=2, size=64)
    prepare_task("coronary_angiogram", folder / "data", folder / "list.json")
    prepare_task("coronary_angiogram", folder / "data", folder / "folds.json", folds=3, fractions=(0.7, 0.3, 0.0))
    return folder


def words(work: Path, out: Path, *more: str, datalist: str = "list.json", budget: str = "4") -> list[str]:
    settings = [part for setting in SMALL for part in ("--set", setting)]
    common = ["coronary_angiogram", "--datalist", str(work / datalist), "--out", str(out), "--budget", budget]
    return ["compare", *common, *settings, *more]


def cells(out: Path) -> dict[tuple[str, str, int], dict[str, Any]]:
    rows = json.loads((out / "cells.json").read_text())
    return {(row["fold"], row["arm"], row["seed"]): row for row in rows}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "model.pt", weights_only=True)


def same(first: Path, second: Path) -> bool:
    one, two = weights(first), weights(second)
    return all(torch.equal(value, two[name]) for name, value in one.items())


@pytest.fixture(scope="module")
def finished(work: Path) -> Path:
    """A comparison of two methods."""
    out = work / "finished"
    assert main(words(work, out, "--methods", "kd,lightvessel")) == 0
    return out


def test_the_matrix_and_its_files(work: Path, finished: Path) -> None:
    done = cells(finished)
    assert [arm for _, arm, _ in done] == ["teacher", "alone", "kd", "lightvessel"]
    assert all(row["state"] == "finished" and row["steps"] == 4 and row["seconds"] > 0 for row in done.values())
    assert done["all", "lightvessel", 0]["standing"] == METHODS["lightvessel"].standing
    assert done["all", "teacher", 0]["params"] > done["all", "kd", 0]["params"] == done["all", "alone", 0]["params"]
    with (finished / "cases.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    tested = {record["case"] for record in json.loads((work / "list.json").read_text())["test"]}
    assert {row["arm"] for row in rows} == {"teacher", "alone", "kd", "lightvessel"}
    assert len(rows) == 4 * len(tested) and {row["case"] for row in rows} == tested and set(rows[0]) >= METRICS
    settings = json.loads((finished / "comparison.json").read_text())
    assert settings["steps"] == 4 and len(settings["test_split_read"]) == 1
    assert str(work) not in (finished / "comparison.json").read_text()
    folder = finished / done["all", "kd", 0]["folder"]
    with (folder / "history.csv").open(newline="") as file:
        names = {(row["epoch"], row["name"]) for row in csv.DictReader(file)}
    assert {("1", "train/supervised"), ("2", "train/logits"), ("2", "validation/val_mean_dice")} <= names
    assert "val_mean_dice" in (folder / "log.txt").read_text()
    assert sorted(path.stem for path in (folder / "evaluation_test" / "pictures").glob("*.npz")) == sorted(tested)


@pytest.mark.parametrize("arm", ["teacher", "alone", "kd", "lightvessel"])
def test_a_cell_is_the_training_of_the_other_commands(work: Path, finished: Path, arm: str, tmp_path: Path) -> None:
    settings = {"batch_size": 2, "crop_size": [32, 32], "teacher_def#base_channels": 3, "steps_per_epoch": 2}
    settings |= {"epochs": 2, "val_interval": 2, "mlflow": False, "output_dir": str(tmp_path), "seed": 0}
    settings |= {"datalist": str(finished / "lists" / "fold_all.json")}
    layers = ["train"]
    if arm == "teacher":
        layers.append("train_teacher")
    else:
        settings["network#base_channels"] = 2
    if arm not in ("teacher", "alone"):
        layers.append("distill")
        settings |= {"method": arm, "teacher": str(finished / "cells" / "fold_all" / "teacher" / "model.pt")}
    run_bundle(bundle_folder("coronary_angiogram"), layers, settings)
    assert same(tmp_path, finished / cells(finished)["all", arm, 0]["folder"])


def test_soft_labels_are_made_once_for_all_arms_and_the_student_alone_is_as_without(
    work: Path, finished: Path, tmp_path: Path
) -> None:
    out, maps = tmp_path / "run", tmp_path / "maps"
    soft = f"soft_labels={maps}"
    assert main(words(work, out, "--methods", "kd,recommended", "--set", soft)) == 0
    assert all(row["state"] == "finished" for row in cells(out).values())
    # of the training images alone; both arms, one teacher
    trained = json.loads((work / "list.json").read_text())["training"]
    assert len(list(maps.glob("*.npy"))) == len(trained)
    pairs = {arm: cells(out)["all", arm, 0]["folder"] for arm in ("teacher", "alone", "kd", "recommended")}
    assert all(same(out / pairs[arm], finished / pairs[arm]) for arm in ("teacher", "alone"))
    assert not same(out / pairs["kd"], finished / pairs["kd"])
    # without features the recommended method is kd
    assert same(out / pairs["kd"], out / pairs["recommended"])
    assert str(tmp_path) not in (out / "comparison.json").read_text()


def test_nothing_is_done_twice_and_more_can_be_added(work: Path, finished: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(finished, tmp_path / "more"))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("model.pt")}
    read = json.loads((out / "comparison.json").read_text())["test_split_read"]
    assert main(words(work, out, "--methods", "kd,lightvessel")) == 0
    assert json.loads((out / "comparison.json").read_text())["test_split_read"] == read
    assert main(words(work, out, "--methods", "kd,at")) == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert [arm for _, arm, _ in cells(out)] == ["teacher", "alone", "kd", "at"]
    assert len(json.loads((out / "comparison.json").read_text())["test_split_read"]) == 2


def test_every_case_is_tested_once_over_the_folds(work: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    more = ["--methods", "kd", "--folds", "3", "--seeds", "2"]
    assert main(words(work, out, *more, datalist="folds.json", budget="2")) == 0
    done = cells(out)
    assert len(done) == 3 * (1 + 2 * 2)
    content = json.loads((work / "folds.json").read_text())
    everyone = sorted(record["case"] for part in ("training", "validation") for record in content[part])
    with (out / "cases.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["arm"], row["seed"]) == ("alone", "1")]
    assert sorted(row["case"] for row in rows) == everyone
    for fold in "012":
        lists = json.loads((out / "lists" / f"fold_{fold}.json").read_text())
        parts = [{record["case"] for record in lists[part]} for part in ("training", "validation", "test")]
        assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
    # seeds differ in start and batches, arms of one seed in nothing but the method
    assert not same(out / done["0", "alone", 0]["folder"], out / done["0", "alone", 1]["folder"])


def test_a_failed_cell_is_told_and_the_rest_goes_on(work: Path, tmp_path: Path, capfd: Any) -> None:
    # similarity between the images of a batch needs two of them
    more = ["--methods", "rkd,kd", "--set", "batch_size=1"]
    assert main(words(work, tmp_path / "run", *more)) == 1
    done = cells(tmp_path / "run")
    assert done["all", "rkd", 0]["state"] == "failed" and "a batch of" in done["all", "rkd", 0]["reason"]
    assert {row["state"] for (_, arm, _), row in done.items() if arm != "rkd"} == {"finished"}
    told = capfd.readouterr().err
    assert "failed: cells/fold_all/thin_unet/rkd/seed_0" in told and "Traceback" not in told


def test_a_killed_comparison_goes_on_as_if_nothing_had_happened(work: Path, finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    # a long budget: it is killed in the middle
    command = [sys.executable, "-m", "kdseg.cli.main", *words(work, out, "--methods", "kd", budget="24")]
    whole = tmp_path / "whole"
    assert main(words(work, whole, "--methods", "kd", budget="24")) == 0
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    student = out / "cells" / "fold_all" / "thin_unet" / "kd" / "seed_0"
    ends = time.monotonic() + 120
    while not (student / "training.pt").is_file() and time.monotonic() < ends and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert (student / "training.pt").is_file() and not (student / "done.json").is_file()
    assert main(words(work, out, "--methods", "kd", budget="24")) == 0
    for arm in ("teacher", "alone", "kd"):
        folder = cells(whole)["all", arm, 0]["folder"]
        assert same(whole / folder, out / folder), arm
    first, second = ((folder / student.relative_to(out) / "history.csv").read_text() for folder in (out, whole))
    assert _without_seconds(first) == _without_seconds(second)
    assert (whole / "cases.csv").read_text() == (out / "cases.csv").read_text()


def _without_seconds(history: str) -> list[str]:
    return [line for line in history.splitlines() if ",seconds," not in line]


def wrong(work: Path, out: Path, capsys: pytest.CaptureFixture[str], *more: str, **settings: str) -> str:
    assert main(words(work, out, *more, **settings)) == 2
    told = capsys.readouterr().err
    assert told.count("kdseg compare:") == 1 and "Traceback" not in told
    assert not list(out.glob("cells/*/*/model.pt"))
    return told


def test_bad_input_is_told_before_any_training(work: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "run"
    assert "did you mean 'lightvessel'?" in wrong(work, out, capsys, "--methods", "lightvesel")
    assert "did you mean 'mobile_unet'?" in wrong(work, out, capsys, "--methods", "kd", "--students", "mobile_unt")
    assert "one method or more" in wrong(work, out, capsys)
    assert "kd twice" in wrong(work, out, capsys, "--methods", "kd,kd")
    assert "steps, or of minutes" in wrong(work, out, capsys, "--methods", "kd", budget="long")
    assert "1 or more" in wrong(work, out, capsys, "--methods", "kd", "--seeds", "0")
    assert "comparable" in wrong(work, out, capsys, "--methods", "kd", "--set", "epochs=3")
    assert "comparable" in wrong(work, out, capsys, "--methods", "kd", "--set", "kd:seed=3")
    assert "did you mean 'learning_rate'?" in wrong(work, out, capsys, "--methods", "kd", "--set", "learnin_rate=1")
    assert "folds or more" in wrong(work, out, capsys, "--methods", "kd", "--folds", "9")
    assert "no cases in test" in wrong(work, out, capsys, "--methods", "kd", datalist="folds.json")
    assert "a trained teacher" in wrong(work, out, capsys, "--methods", "kd", "--teacher", "none.pt")


def test_a_teacher_that_has_seen_the_test_cases_is_refused(work: Path, tmp_path: Path, capsys: Any) -> None:
    content = json.loads((work / "list.json").read_text())
    content["training"], content["test"] = content["test"], content["training"]
    content["root"] = str(work / "data")
    (tmp_path / "other.json").write_text(json.dumps(content))
    settings = {"batch_size": 2, "crop_size": [32, 32], "teacher_def#base_channels": 3, "steps_per_epoch": 1}
    settings |= {"epochs": 1, "val_interval": 1, "mlflow": False, "output_dir": str(tmp_path / "teacher")}
    layers = ["train", "train_teacher"]
    run_bundle(bundle_folder("coronary_angiogram"), layers, {**settings, "datalist": str(tmp_path / "other.json")})
    capsys.readouterr()
    teacher = str(tmp_path / "teacher" / "model.pt")
    told = wrong(work, tmp_path / "run", capsys, "--methods", "kd", "--teacher", teacher)
    assert content["training"][0]["case"] in told and "trained on" in told


def test_results_of_other_settings_or_versions_are_refused(
    work: Path, finished: Path, tmp_path: Path, capsys: Any
) -> None:
    out = Path(shutil.copytree(finished, tmp_path / "run"))
    capsys.readouterr()
    assert main(words(work, out, "--methods", "kd", "--set", "learning_rate=0.01")) == 2
    assert "other settings" in capsys.readouterr().err
    content = json.loads((out / "comparison.json").read_text())
    (out / "comparison.json").write_text(json.dumps({**content, "kdseg_version": "0.0.1"}))
    assert main(words(work, out, "--methods", "kd")) == 2
    assert "kdseg 0.0.1" in capsys.readouterr().err


def test_two_at_once_in_one_folder_are_refused(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FileLock(tmp_path / ".lock"):
        assert main(words(work, tmp_path, "--methods", "kd")) != 0
    assert "at work there" in capsys.readouterr().err and not (tmp_path / "comparison.json").exists()
