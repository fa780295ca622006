"""Exports are taken wherever students are: checked, run without torch, and refused in one message."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

import kdseg
from kdseg.cli.main import main
from kdseg.deploy import open_folder, predict_files
from kdseg.deploy.export import FORMATS, export
from kdseg.deploy.export.words import RUNTIME_REQUIREMENTS
from kdseg.errors import UserError
from kdseg.runtime import RuntimeStudent, read_export
from kdseg.task import open_trained
from tests.exports import PICTURE, VOLUME, student_and_list

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

TASKS = {"picture": PICTURE, "volume": VOLUME}
WITHOUT_TORCH = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "monai", "ignite"):
            raise ImportError(f"{name} is not here")

sys.meta_path.insert(0, Absent())
from kdseg.cli.main import main

code = main(sys.argv[1:])
assert not {"torch", "monai", "ignite"} & sys.modules.keys()
sys.exit(code)
"""


@pytest.fixture(scope="module", params=TASKS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A student, and its export beside it."""
    folder = tmp_path_factory.mktemp(request.param)
    student, datalist = student_and_list(folder, TASKS[request.param], method="none")
    to = [name for name in ("onnx", "openvino", "torchscript", "exported") if _here(name)]
    return student, export(open_trained(student), datalist, folder / "export", to).path


def _here(name: str) -> bool:
    return all(find_spec(package) for package in FORMATS[name].packages)


def values(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path) if path.suffix == ".png" else nibabel.load(path).dataobj)


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_predict_without_torch(runtime: str, made: tuple[Path, Path], tmp_path: Path) -> None:
    student, path = made
    if not _here(runtime):
        pytest.skip(f"{runtime} is not installed")
    expected = predict_files(kdseg.load(student, device="cpu"), student.parent / "images", tmp_path / "torch")
    words = ["predict", str(path), str(student.parent / "images"), "--output-dir", str(tmp_path / "masks"), "--json"]
    command = [sys.executable, "-c", WITHOUT_TORCH, *words, "--runtime", runtime]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment())
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["segmented"] == 4 and content["set_aside"] == []
    for case, other in zip(expected.cases, content["cases"], strict=True):
        one, two = values(Path(case["output"])), values(Path(other["output"]))
        assert one.dtype == two.dtype and np.array_equal(one, two) and len(np.unique(one)) > 1
        assert case["ml"] == other["ml"]


def environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(Path(kdseg.__file__).parents[1])}


def test_every_format_gives_the_same_mask(made: tuple[Path, Path]) -> None:
    student, path = made
    image = next((student.parent / "images").iterdir())
    expected = kdseg.load(student, device="cpu")
    truth = expected(image)
    for name in read_export(path).formats:
        loaded = kdseg.load(path, device="cpu", runtime=name)
        assert isinstance(loaded, RuntimeStudent) == (name in ("onnx", "openvino"))
        assert loaded.task == expected.task and loaded.history == expected.history == {"method": "none"}
        mask = loaded(image)
        assert type(mask) is type(truth)
        if isinstance(mask, nibabel.Nifti1Image):
            assert np.array_equal(np.asarray(mask.dataobj), np.asarray(truth.dataobj))
        else:
            assert np.array_equal(np.asarray(mask), np.asarray(truth))


def test_evaluate_takes_an_export(made: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    student, path = made
    words = ["--datalist", str(student.parent / "list.json"), "--section", "validation", "--no-mlflow", "--json"]
    found = []
    for number, place in enumerate((student, path)):
        assert main(["evaluate", str(place), *words, "--output-dir", str(tmp_path / str(number))]) == 0
        found.append(json.loads(capsys.readouterr().out)["metrics"])
    assert found[0] == found[1] and found[0]["dice"]["count"] > 0


def test_what_is_taken_where_nothing_is_named(made: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    found = read_export(made[1])
    there = {"openvino", "onnxruntime", "torch"}
    monkeypatch.setattr("kdseg.runtime.exports.find_spec", lambda name: name if name in there else None)
    assert found.choose() == ("openvino" if _here("openvino") else "onnx")
    there.discard("openvino")
    assert found.choose() == "onnx"
    there.discard("onnxruntime")
    assert found.choose() == "torchscript"
    with pytest.raises(UserError, match="pip install onnxruntime"):
        found.choose("onnx")
    there.clear()
    with pytest.raises(UserError, match="none of the packages"):
        found.choose()


def altered(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / "export.json").read_text())
    (folder / "export.json").write_text(json.dumps({**content, **changes}))


def of_one_file(folder: Path, **changes: Any) -> None:
    content = json.loads((folder / "export.json").read_text())
    content["formats"]["onnx"]["files"][0].update(changes)
    (folder / "export.json").write_text(json.dumps(content))


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "newer": (lambda folder: altered(folder, schema=2, kdseg_version="7.0"), "install kdseg 7.0"),
    "no version": (lambda folder: altered(folder, schema=None), "schema None"),
    "no JSON": (lambda folder: (folder / "export.json").write_text("{"), "no readable export.json"),
    "deep": (lambda folder: (folder / "export.json").write_text("[" * 100_000), "no readable export.json"),
    "null": (lambda folder: (folder / "export.json").write_text("null"), "expected an object"),
    "no formats": (lambda folder: altered(folder, formats={}), "none of the packages"),
    "wrong formats": (lambda folder: altered(folder, formats=[1]), "without its files or task"),
    "no files": (lambda folder: altered(folder, formats={"onnx": {}}), "without its files or task"),
    "no hash": (lambda folder: of_one_file(folder, sha256=None), "without its files or task"),
    "outside": (lambda folder: of_one_file(folder, name="../../model.onnx"), "without its files or task"),
    "no task": (lambda folder: (folder / "task.json").unlink(), "task.json: found no such file"),
    "another task": (lambda folder: longer(folder / "task.json"), "task.json: found a file that was altered"),
    "no model": (lambda folder: (folder / "model.onnx").unlink(), "model.onnx: found no such file"),
    "another model": (lambda folder: longer(folder / "model.onnx"), "model.onnx: found a file that was altered"),
    "probabilities": (lambda folder: altered(folder, output="probabilities"), "--output logits"),
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    student, datalist = student_and_list(folder, TASKS["picture"])
    return export(open_trained(student), datalist, folder / "export", ["onnx"]).path


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_export_is_refused(
    name: str, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    folder = Path(shutil.copytree(plain, tmp_path / "export"))
    damage, told = DAMAGES[name]
    damage(folder)
    source = str(plain.parent / "images")
    assert main(["predict", str(folder), source, "--output-dir", str(tmp_path / "masks")]) == 2
    printed = capsys.readouterr()
    assert told in printed.err and printed.err.count("\n") == 1
    assert not (tmp_path / "masks").exists()


def test_a_file_that_is_no_model_is_refused(plain: Path, tmp_path: Path) -> None:
    import hashlib
    import shutil

    folder = Path(shutil.copytree(plain, tmp_path / "export"))
    (folder / "model.onnx").write_bytes(b"no model")
    of_one_file(folder, sha256=hashlib.sha256(b"no model").hexdigest())
    with pytest.raises(UserError, match="a model that cannot be opened"):
        kdseg.load(folder)


@pytest.mark.parametrize(("runtime", "told"), [("onx", "did you mean 'onnx'"), ("openvino", "no format 'openvino'")])
def test_a_format_that_is_not_there(runtime: str, told: str, plain: Path) -> None:
    with pytest.raises(UserError, match=told):
        kdseg.load(plain, runtime=runtime)
    with pytest.raises(UserError, match=told):
        open_folder(plain, runtime)


def test_what_may_be_said_anew(plain: Path) -> None:
    assert kdseg.load(plain, frame=2).task.frame == 2
    with pytest.raises(UserError, match="clahe"):
        kdseg.load(plain, clahe=True)
    with pytest.raises(UserError, match="runtime"):
        kdseg.load(plain.parent / "student", runtime="onnx")


def test_the_requirements_are_those_of_the_extra(plain: Path) -> None:
    text = (Path(kdseg.__file__).parents[1] / "setup.cfg").read_text(encoding="utf-8")
    extra = text.split("\nruntime =\n")[1].split("\n    onnxruntime")[0]
    lines = [line.strip() for line in extra.splitlines() if not line.strip().startswith("#")]
    assert tuple(lines) == RUNTIME_REQUIREMENTS
    assert (plain / "requirements.txt").read_text().splitlines() == [*RUNTIME_REQUIREMENTS, "onnxruntime>=1.18"]
