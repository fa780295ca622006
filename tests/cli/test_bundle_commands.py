"""The commands on a tiny set: train, distill, evaluate, predict, as the README has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kdseg.cli.main import main
from kdseg.engines import DistillationTrainer
from kdseg.phantom import write_phantom_set
from kdseg.task import read_history

SMALL = ["epochs=1", "steps_per_epoch=1", "val_interval=1", "batch_size=2", "crop_size=[32,32]", "mlflow=false"]
SMALL += ["teacher_def#base_channels=3"]
SETTINGS = [part for setting in SMALL for part in ("--set", setting)]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of phantoms, its list, and a teacher."""
    folder = tmp_path_factory.mktemp("commands")
    write_phantom_set(folder / "data", count=8, unlabelled=1, size=64)
    datalist = str(folder / "angio.json")
    assert main(["prepare", "coronary_angiogram", str(folder / "data"), "--out", datalist]) == 0
    assert main(["train", *common(folder), "--teacher-network", "--output-dir", str(folder / "teacher")]) == 0
    return folder


def common(work: Path) -> list[str]:
    return ["coronary_angiogram", "--datalist", str(work / "angio.json"), *SETTINGS]


def test_the_readmes_way_from_images_to_masks(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    student = str(tmp_path / "student")
    assert main(["train", *common(work), "--output-dir", str(tmp_path / "alone")]) == 0
    distilled = ["--method", "lightvessel", "--teacher", str(work / "teacher"), "--output-dir", student]
    assert main(["distill", *common(work), *distilled]) == 0
    capsys.readouterr()
    measure = ["--datalist", str(work / "angio.json"), "--no-mlflow"]
    assert main(["evaluate", student, *measure, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert 0 <= summary["metrics"]["dice"]["mean"] <= 1
    assert main(["evaluate", str(work / "teacher"), *measure]) == 0
    assert "cldice" in capsys.readouterr().out
    images = work / "data" / "images"
    run = ["predict", student, str(images)]
    assert main([*run, "--output-dir", str(tmp_path / "masks"), "--json"]) == 0
    told = capsys.readouterr()
    facts = json.loads(told.out)
    assert facts["segmented"] == 8 and not facts["set_aside"] and told.err == ""
    assert len(list((tmp_path / "masks").glob("*.nii.gz"))) == 8
    assert max(case["frames"] for case in facts["cases"]) > 1


def test_unlabelled_images_are_half_of_each_batch(work: Path, tmp_path: Path) -> None:
    seen: list[list[bool]] = []
    shown = DistillationTrainer._iteration

    def look(trainer: DistillationTrainer, engine: Any, batch: Any) -> Any:
        seen.append((batch["label"] == 255).flatten(1).all(1).tolist())
        return shown(trainer, engine, batch)

    distilled = ["--teacher", str(work / "teacher"), "--output-dir"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DistillationTrainer, "_iteration", look)
        for option in (["--unlabelled"], ["--overlay", "semi_supervised"], []):
            output = str(tmp_path / f"student{len(seen)}")
            assert main(["distill", *common(work), *distilled, output, *option]) == 0
    assert seen == [[False, True], [False, True], [False, False]]
    assert json.loads((tmp_path / "student0" / "history.json").read_text())["method"] == "recommended"


def test_a_cross_fit_teaches_by_what_its_teachers_have_not_seen(work: Path, tmp_path: Path) -> None:
    folder = tmp_path / "teachers"
    command = ["train", *common(work), "--teacher-network", "--cross-fit", "2", "--output-dir", str(folder)]
    assert main(command) == 0
    record = json.loads((folder / "cross_fit.json").read_text())
    assert [one["folder"] for one in record["teachers"]] == ["teacher_0", "teacher_1"]
    assert all(0.05 <= one["temperature"] <= 20 for one in record["teachers"])
    seen = [set(read_history(folder / f"teacher_{part}")["images_sha256"]) for part in range(2)]
    listed = json.loads((work / "angio.json").read_text())
    assert seen[0].isdisjoint(seen[1]) and seen[0] | seen[1] == {record["sha256"] for record in listed["training"]}
    # given again it trains nothing again
    weights = [(folder / f"teacher_{part}" / "model.pt").stat().st_mtime_ns for part in range(2)]
    assert main(command) == 0 and json.loads((folder / "cross_fit.json").read_text()) == record
    assert [(folder / f"teacher_{part}" / "model.pt").stat().st_mtime_ns for part in range(2)] == weights
    student = ["--teacher", str(folder), "--unlabelled", "--output-dir", str(tmp_path / "student")]
    assert main(["distill", *common(work), *student]) == 0
    maps = list((folder / "soft_labels").glob("*.npy"))
    assert len(maps) == len(listed["training"]) + len(listed["unlabelled"])


def test_a_cross_fit_wants_teachers_and_a_place(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *common(work), "--cross-fit", "2"]) == 2
    assert "--teacher-network and --output-dir" in capsys.readouterr().err


def test_a_bad_file_is_set_aside_and_the_rest_goes_on(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tmp_path / "study"
    study.mkdir()
    for path in sorted((work / "data" / "images").glob("*.dcm"))[:2]:
        (study / path.name).write_bytes(path.read_bytes())
    (study / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM\1\2")
    run = ["predict", str(work / "teacher"), str(study), "--output-dir", str(tmp_path / "masks")]
    assert main([*run, "--frame", "best"]) == 1
    told = capsys.readouterr()
    assert "2 files segmented" in told.out
    assert told.err.startswith("set aside: broken.dcm") and told.err.count("\n") == 1


def test_masks_that_were_drawn_are_never_overwritten(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = next(iter(sorted((work / "data" / "images").glob("*.dcm"))))
    drawn = tmp_path / f"{image.stem}_mask.nii.gz"
    drawn.write_bytes(b"hours of work")
    run = ["predict", str(work / "teacher"), str(image), "--output-dir", str(tmp_path)]
    assert main(run) == 1
    assert "a file that is there already" in capsys.readouterr().err and drawn.read_bytes() == b"hours of work"
    assert main([*run, "--overwrite"]) == 0 and drawn.read_bytes() != b"hours of work"


@pytest.mark.parametrize(
    ("options", "told"),
    [(["--frame", "last"], "frame"), (["--frame", "-1"], "frame"), (["--device", "gpu"], "--device")],
)
def test_bad_options_of_predict(
    work: Path, tmp_path: Path, options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["predict", str(work / "teacher"), str(work / "data"), "--output-dir", str(tmp_path / "masks")]
    try:
        code = main([*run, *options])
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code == 2 and told in capsys.readouterr().err and not (tmp_path / "masks").exists()


def test_predict_has_no_options_that_contradict_the_task(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--set", "--checkpoint", "--window"):
        with pytest.raises(SystemExit):
            main(["predict", str(work / "teacher"), str(work), "--output-dir", str(work / "m"), option, "clahe=true"])
    assert "unrecognized arguments" in capsys.readouterr().err


def test_overlays_of_the_bundle(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["distill", *common(work), "--teacher", str(work / "teacher"), "--output-dir", str(tmp_path / "student")]
    run += ["--method", "kd"]
    assert main([*run, "--overlay", "semi_supervised"]) == 0
    assert (tmp_path / "student" / "model.pt").is_file()
    capsys.readouterr()
    assert main([*run, "--overlay", "semi_supervized"]) == 2
    assert "did you mean 'semi_supervised'?" in capsys.readouterr().err


def test_a_task_is_shown_and_written(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["task", "coronary_angiogram", "--set", "clahe=true", "--set", "network#base_channels=2"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["clahe"] is True and shown["network"] == {"name": "thin_unet", "base_channels": 2}
    assert main(["task", str(work / "teacher")]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((work / "teacher" / "task.json").read_text())
    assert main(["task", "coronary_angiogram", "--set", "clahee=true", "--out", str(tmp_path / "none")]) == 2
    assert "did you mean 'clahe'?" in capsys.readouterr().err and not (tmp_path / "none").exists()
