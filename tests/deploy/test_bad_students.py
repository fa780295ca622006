"""Folders that are no student, and images that are not for it: one message each, and nothing is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

import kdseg
from kdseg.cli.main import main
from kdseg.data.lists.datalist import save_datalist
from kdseg.data.modality import check_modality
from kdseg.errors import UserError
from kdseg.phantom import make_phantom
from tests.bundles.volumes import organs, write_dicom, write_nifti
from tests.data.make_files import write_dicom as write_cine
from tests.tasks import VARIED, tiny_task, trained_folder

TASK = tiny_task(network={"name": "thin_unet", "base_channels": 2}, modality=["XA", "RF"])


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A picture with its mask and their data list."""
    folder = tmp_path / "study"
    folder.mkdir()
    picture, mask = make_phantom(np.random.default_rng(0), 64)
    Image.fromarray(picture).save(folder / "7.png")
    Image.fromarray(np.asarray(mask).astype(np.uint8) * 255).save(tmp_path / "mask.png")
    record = {"image": "study/7.png", "label": "mask.png", "case": "7", "patient": "7"}
    labels = {"0": "background", "1": "thing"}
    sections = {name: [{**record, "patient": f"7{name}"}] for name in ("training", "validation", "test")}
    save_datalist({"labels": labels, "root": ".", **sections}, tmp_path / "list.json")
    return folder


def alter(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / "task.json").read_text())
    (folder / "task.json").write_text(json.dumps({**content, **changes}))


def with_weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        torch.save(change(torch.load(folder / "model.pt", weights_only=True)), folder / "model.pt")

    return damage


def only(folder: Path, *names: str) -> None:
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink()


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no task": (lambda folder: only(folder, "model.pt"), "kdseg task BUNDLE --set … --out"),
    "no weights": (lambda folder: only(folder, "task.json"), "a task without weights"),
    "nothing": (lambda folder: only(folder), "no such file: the folder is older"),
    "newer": (lambda folder: alter(folder, schema=2, kdseg_version="7.0"), "install kdseg 7.0"),
    "altered": (lambda folder: alter(folder, clahee=True), "did you mean 'clahe'?"),
    "wrong type": (lambda folder: alter(folder, z_score="yes"), 'z_score "yes"'),
    "null": (lambda folder: (folder / "task.json").write_text("null"), "expected an object"),
    "no JSON": (lambda folder: (folder / "task.json").write_text("{"), "no JSON"),
    "deep": (lambda folder: (folder / "task.json").write_text("[" * 100_000), "no JSON"),
    "unknown network": (lambda folder: alter(folder, network={"name": "thin_unett"}), "did you mean 'thin_unet'?"),
    "not importable": (lambda folder: alter(folder, network={"name": "no_such.package.Net"}), "No module named"),
    "no network": (lambda folder: alter(folder, network={"name": "os.system"}), "no network"),
    "a setting": (lambda folder: alter(folder, network={"name": "thin_unet", "base_chanels": 2}), "base_channels"),
    "another network": (lambda folder: alter(folder, network={"name": "enet"}), "weights of another architecture"),
    "other channels": (lambda folder: alter(folder, colour=True), "other shape"),
    "other classes": (lambda folder: alter(folder, head="softmax"), "other shape"),
    "NaN": (with_weights(lambda weights: {key: value * float("nan") for key, value in weights.items()}), "no numbers"),
    "missing": (with_weights(lambda weights: dict(list(weights.items())[1:])), "1 missing"),
    "a list": (with_weights(lambda weights: list(weights.values())), "state dict"),
    "text": (lambda folder: (folder / "model.pt").write_text("no weights"), "torch.load(weights_only=True) refuses"),
    "cut off": (
        lambda folder: (folder / "model.pt").write_bytes((folder / "model.pt").read_bytes()[:3000]),
        "torch.load(weights_only=True) refuses",
    ),
    "empty": (lambda folder: (folder / "model.pt").write_bytes(b""), "torch.load(weights_only=True) refuses"),
    "script": (
        lambda folder: (only(folder, "task.json"), (folder / "model.ts").write_text("no script")),
        "a TorchScript file that cannot be loaded",
    ),
    "history": (lambda folder: (folder / "history.json").write_text("[]"), "no readable record"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_folder_is_refused_everywhere(
    name: str, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, (damage, told) = tmp_path / "student", DAMAGES[name]
    trained_folder(folder, TASK)
    damage(folder)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    out = str(tmp_path / "out")
    commands = [
        ["predict", str(folder), str(study), "--output-dir", out],
        ["evaluate", str(folder), "--datalist", str(tmp_path / "list.json"), "--output-dir", out],
        ["evaluate", str(folder), "--datalist", str(tmp_path / "list.json")],
    ]
    for command in commands:
        assert main(command) == 2
        text = capsys.readouterr().err
        assert told in text and text.count("\n") == 1 and text.startswith(f"kdseg {command[0]}: "), text
    with pytest.raises(UserError) as caught:
        kdseg.load(folder)
    assert told in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert not Path(out).exists() and not (folder / "evaluation_test").exists()


def test_a_folder_from_before_is_mended_with_the_settings_of_its_training(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "student"
    task = kdseg.task.read_task(kdseg.configuration.bundle_folder("coronary_angiogram"))
    trained_folder(folder, task.changed({"network": {"base_channels": 2}, "clahe": True}))
    (folder / "task.json").unlink()
    command = ["predict", str(folder), str(study), "--output-dir", str(tmp_path / "out")]
    assert main(command) == 2
    told = capsys.readouterr().err
    assert f"kdseg task BUNDLE --set … --out {folder}" in told
    mending = ["task", "coronary_angiogram", "--set", "clahe=true", "--set", "network#base_channels=2"]
    assert main([*mending, "--out", str(folder)]) == 0
    assert capsys.readouterr().out.strip() == str(folder / "task.json")
    assert main(command) == 0 and kdseg.load(folder).task.clahe


@pytest.mark.parametrize("name", ["nowhere", "nowhere/model.pt", "study/7.png"])
def test_what_is_no_folder(name: str, study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(tmp_path / name), str(study), "--output-dir", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert (told.count("\n") == 1 and Path(name).name in told) or "study" in told
    assert not (tmp_path / "out").exists()


def test_a_source_that_is_not_there_or_has_no_image(
    study: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained_folder(tmp_path / "student", TASK)
    (tmp_path / "empty").mkdir()
    for source in ("none", "empty", "list.json"):
        run = ["predict", str(tmp_path / "student"), str(tmp_path / source), "--output-dir", str(tmp_path / "out")]
        code = main(run)
        told = capsys.readouterr().err
        assert code in (1, 2) and told.count("\n") == 1 and source in told, told
        assert not list(tmp_path.glob("out/*"))
        assert source == "list.json" or not (tmp_path / "out").exists()


VOLUME = tiny_task(kind="volume", patch_size=[32, 32], network=VARIED, modality=["MR"])


def write_images(folder: Path) -> dict[str, Path]:
    values, _ = organs((1, 2), 1)
    cine = make_phantom(np.random.default_rng(0), 64)[0]
    paths = {
        "a CT series": write_dicom(folder / "ct", values, "CT", "patient"),
        "an MR series": write_dicom(folder / "mr", values, "MR", "patient"),
        "an XA picture": write_cine(folder / "xa.dcm", cine),
        "a US picture": write_cine(folder / "us.dcm", cine, Modality="US"),
        "a volume": write_nifti(folder / "volume.nii.gz", values),
        "a volume in time": write_nifti(folder / "time.nii.gz", np.stack([values] * 3, axis=-1)),
        "a slice": write_nifti(folder / "slice.nii.gz", values[..., 0]),
        "a picture": folder / "picture.png",
        "text": folder / "text.nii.gz",
    }
    Image.fromarray(cine).save(paths["a picture"])
    paths["text"].write_text("no image")
    colours = np.zeros((36, 32, 6), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    paths["colours"] = folder / "colours.nii.gz"
    nibabel.save(nibabel.Nifti1Image(colours, np.eye(4)), paths["colours"])
    nan = values.astype(np.float32)
    nan[3, 3, 3] = np.nan
    paths["no numbers"] = write_nifti(folder / "nan.nii.gz", nan)
    return paths


@pytest.mark.parametrize(
    ("kind", "image", "told"),
    [
        ("picture", "a US picture", "modality US; expected XA or RF"),
        ("picture", "a volume in time", ""),
        ("picture", "text", ""),
        ("picture", "no numbers", "no numbers"),
        ("volume", "a CT series", "CT"),
        ("volume", "an XA picture", "XA"),
        ("volume", "a volume in time", ""),
        ("volume", "a slice", ""),
        ("volume", "a picture", ""),
        ("volume", "colours", ""),
        ("volume", "no numbers", "no numbers"),
        ("volume", "text", ""),
    ],
)
def test_an_image_of_another_kind_is_refused(
    kind: str, image: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_images(tmp_path / "images")[image]
    trained_folder(tmp_path / "student", TASK if kind == "picture" else VOLUME)
    out = tmp_path / "out"
    code = main(["predict", str(tmp_path / "student"), str(path), "--output-dir", str(out)])
    text = capsys.readouterr().err
    assert code in (1, 2) and text.count("\n") == 1 and "found" in text and "expected" in text, text
    assert told in text and "To mend it" in text, text
    assert not list(out.glob("*"))
    with pytest.raises((UserError, RuntimeError)) as caught:
        kdseg.load(tmp_path / "student")(path)
    assert kdseg.errors.user_error_in(caught.value) is not None


def test_the_right_images_are_taken(tmp_path: Path) -> None:
    paths = write_images(tmp_path / "images")
    for task, names in ((TASK, ["an XA picture", "a picture"]), (VOLUME, ["an MR series", "a volume"])):
        trained_folder(tmp_path / task.kind, task)
        for name in names:
            assert kdseg.load(tmp_path / task.kind)(paths[name]) is not None


def test_the_modality_of_a_folder_is_that_of_any_of_its_files(tmp_path: Path) -> None:
    """A series with its label beside it."""
    paths = write_images(tmp_path)
    write_cine(paths["an MR series"] / "a_label.dcm", np.zeros((8, 8), np.uint8), Modality="SEG")
    check_modality(paths["an MR series"], ["MR"], "task")
    with pytest.raises(UserError, match="modality"):
        check_modality(paths["an MR series"], ["CT"], "task")
    check_modality(paths["an MR series"], [], "task")
    check_modality(paths["a volume"], ["CT"], "task")


@pytest.mark.parametrize(
    ("labels", "records", "told"),
    [
        ({"0": "background", "1": "vessel"}, {}, "thing"),
        ({"0": "background", "1": "thing"}, {"image": "study/none.png"}, "none.png"),
        ({"0": "background", "1": "thing"}, {"label": "small.png"}, "the shape of the label"),
        ({"0": "background", "1": "thing"}, {"image": "us.dcm"}, "modality US"),
        ({"0": "background", "1": "thing"}, {"image": "list.json"}, "list.json"),
    ],
)
def test_a_list_of_another_task_is_refused(
    labels: dict[str, str],
    records: dict[str, str],
    told: str,
    study: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    trained_folder(tmp_path / "student", TASK)
    Image.fromarray(np.zeros((32, 32), np.uint8)).save(tmp_path / "small.png")
    write_cine(tmp_path / "us.dcm", make_phantom(np.random.default_rng(0), 64)[0], Modality="US")
    content = json.loads((tmp_path / "list.json").read_text())
    content["labels"], content["test"] = labels, [{**content["test"][0], **records}]
    (tmp_path / "list.json").write_text(json.dumps(content))
    command = ["evaluate", str(tmp_path / "student"), "--datalist", str(tmp_path / "list.json")]
    assert main([*command, "--no-mlflow"]) == 2
    text = capsys.readouterr().err
    assert told in text and text.count("\n") == 1, text
    assert not (tmp_path / "student" / "evaluation_test").exists()
