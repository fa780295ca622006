"""Exports are the network: measured on real cases, refused where they are not, and whole or not there."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from kdseg.cli import predict
from kdseg.cli.main import main
from kdseg.data.open import content_hash
from kdseg.deploy.export import FORMATS, OUTPUTS, export
from kdseg.deploy.export.cases import calibration_images, cases_of
from kdseg.deploy.export.parity import LARGEST_DIFFERENCE, measure_parity
from kdseg.deploy.export.torch_models import open_torchscript
from kdseg.errors import UserError
from kdseg.runtime import open_session, read_export
from kdseg.task import open_trained, read_task
from tests.exports import PICTURE, SHALLOW, VOLUME, student_and_list
from tests.tasks import VARIED, tiny_task

pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")

TASKS = {
    # one of ours, the others are quicker
    "sigmoid": tiny_task(network={"name": "unet", "base_channels": 2}),
    "softmax": tiny_task(network=SHALLOW, head="softmax", classes=["a", "b"]),
    "3-D": VOLUME,
}


def here(*names: str) -> list[str]:
    """Those of the formats whose packages are installed."""
    return [name for name in names if all(find_spec(package) for package in FORMATS[name].packages)]


@pytest.fixture(scope="module", params=TASKS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path]:
    """A student and its export in every format that can be written here."""
    folder = tmp_path_factory.mktemp("export")
    student, datalist = student_and_list(folder, TASKS[request.param], method="none")
    to = here("onnx", "openvino", "torchscript", "exported")
    int8 = request.param == "softmax" and bool(find_spec("nncf") or "openvino" not in to)
    done = export(open_trained(student), datalist, folder / "export", to, int8=int8)
    assert done.refused == {}
    return request.param, student, done.path


def test_every_format_is_the_network(made: tuple[str, Path, Path]) -> None:
    name, student, path = made
    task, found = TASKS[name], read_export(path)
    image = torch.randn(3, task.in_channels, *(task.patch_size or (48, 32)))
    with torch.no_grad():
        expected = open_trained(student).network()(image).numpy()
    assert np.ptp(expected) > 0
    for kind, entry in found.formats.items():
        parity = entry["parity"]
        assert parity["cases"] == 2 and parity["section"] == "validation"
        if kind.endswith("_int8"):
            assert entry["dice_lost"] == pytest.approx(entry["dice_float32"] - entry["dice_int8"])
            assert parity["max_difference"] > 0
            continue
        assert parity["max_difference"] < LARGEST_DIFFERENCE and parity["lowest_dice"] > 0.999
        if kind in ("onnx", "openvino"):
            given = open_session(kind, found.model(kind))(image.numpy())
            assert given.shape == expected.shape and np.abs(given - expected).max() < 1e-4


def test_the_folder_says_all_of_itself(made: tuple[str, Path, Path]) -> None:
    _, student, path = made
    content = json.loads((path / "export.json").read_text())
    listed = {entry["name"]: entry["sha256"] for one in content["formats"].values() for entry in one["files"]}
    others = {"export.json", "task.json", "history.json", "README.md", "requirements.txt"}
    files = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    assert files == listed.keys() | others
    assert all(content_hash(path / file) == digest for file, digest in listed.items())
    assert read_task(path) == read_task(student)
    assert content["weights"] == content_hash(student / "model.pt")
    words = (path / "README.md").read_text()
    assert all(file in words for file in listed) and "{" not in words.replace('{"image": image}', "").replace(
        '{"INFERENCE_PRECISION_HINT": "f32"}', ""
    )
    # the command that it names is one
    parser = argparse.ArgumentParser()
    predict.add_arguments(parser)
    (line,) = (line for line in words.splitlines() if "kdseg predict" in line)
    assert parser.parse_args(line.split()[2:]).runtime in content["formats"]
    # where things lay on this machine is nobody's business
    for file in path.rglob("*.onnx"):
        assert str(Path(torch.__file__).parents[1]).encode() not in file.read_bytes()


def test_the_graph_is_simple_and_free_in_its_sizes(made: tuple[str, Path, Path]) -> None:
    import onnx

    name, _, path = made
    model = onnx.load(path / "model.onnx")
    kinds = {node.op_type for node in model.graph.node}
    assert "BatchNormalization" not in kinds and kinds <= {"Conv", "Relu", "MaxPool", "ConvTranspose", "Concat"}
    entry = read_export(path).formats["onnx"]
    sides = ["16*width", "16*height", "16*depth"][: TASKS[name].dimensions]
    assert entry["input"] == {"name": "image", "shape": ["batch", TASKS[name].in_channels, *sides]}
    assert entry["output"] == {"name": "logits", "shape": ["batch", TASKS[name].out_channels, *sides]}
    assert entry["opset"] == 20


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
@pytest.mark.parametrize("output", OUTPUTS[1:])
def test_other_outputs(head: str, output: str, tmp_path: Path) -> None:
    task = tiny_task(network=SHALLOW, head=head, classes=["a", "b"])
    student, datalist = student_and_list(tmp_path, task)
    done = export(open_trained(student), datalist, tmp_path / "export", ["torchscript"], output=output)
    image = torch.randn(2, 1, 32, 48)
    with torch.no_grad():
        logits = open_trained(student).network()(image)
        given = open_torchscript(done.path / "model.ts")(image).numpy()
    if output == "probabilities":
        expected = logits.softmax(1) if head == "softmax" else logits.sigmoid()
        assert np.allclose(given, expected.numpy(), atol=1e-5)
    else:
        greatest, place = logits.max(1, keepdim=True)
        expected = place if head == "softmax" else torch.where(greatest >= 0, place + 1, 0)
        assert np.array_equal(given, expected.numpy()) and len(np.unique(given)) > 1
    with pytest.raises(UserError, match="--output logits"):
        read_export(done.path).model("torchscript")


class Fixed(nn.Module):
    """Takes one size only, as networks with positions do."""

    def __init__(self, in_channels: int = 1, out_channels: int = 1) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.rand(1, in_channels, 64, 64))
        self.head = nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(image + self.position)


def test_a_network_of_one_size_is_exported_for_it(tmp_path: Path) -> None:
    task = tiny_task(network={"name": "tests.deploy.export.test_export.Fixed"}, patch_size=[64, 64], tile=64)
    student, datalist = student_and_list(tmp_path, task)
    done = export(open_trained(student), datalist, tmp_path / "export", ["onnx"])
    assert done.content["formats"]["onnx"]["input"]["shape"] == ["batch", 1, 64, 64]
    session = open_session("onnx", done.path / "model.onnx")
    assert session(np.zeros((3, 1, 64, 64))).shape == (3, 1, 64, 64)
    with pytest.raises(UserError, match="1×48×64"):
        session(np.zeros((1, 1, 48, 64)))


def test_what_is_not_the_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    student, datalist = student_and_list(tmp_path, PICTURE)
    monkeypatch.setattr(FORMATS["exported"].__class__, "write", _only_break("exported", FORMATS["exported"].write))
    done = export(open_trained(student), datalist, tmp_path / "export", ["exported", "onnx"])
    assert (
        done.refused.keys() == {"exported"}
        and "case case2: values that differ by up to 0.5" in done.refused["exported"]
    )
    assert not (done.path / "model.pt2").exists() and "exported" not in (done.path / "README.md").read_text()
    assert list(done.content["formats"]) == ["onnx"]
    with pytest.raises(UserError, match=r"case case2: values that differ by up to 0\.5"):
        export(open_trained(student), datalist, tmp_path / "other", ["exported"])
    assert not (tmp_path / "other").exists() and not list(tmp_path.glob(".other*"))


def _only_break(name: str, write: Callable[..., Any]) -> Callable[..., Any]:
    def changed(self: Any, job: Any) -> Any:
        written = write(job) if self is FORMATS[name] else _whole(self, job)
        if self is FORMATS[name]:
            run = written.run
            written.run = lambda images: run(images) + 0.5
        return written

    return changed


def _whole(one: Any, job: Any) -> Any:
    from kdseg.deploy.export.onnx_model import write_onnx

    return write_onnx(job)


def test_parity_is_measured_on_the_windows_of_the_cases(tmp_path: Path) -> None:
    task = tiny_task(network=VARIED, patch_size=[32, 32], tile=32, border=4)
    student, datalist = student_and_list(tmp_path, task)
    network = open_trained(student).network()

    def shifted(images: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return network(torch.from_numpy(images)).numpy() + np.float32(0.01)

    cases = cases_of(task, datalist, "validation")
    parity = measure_parity(task, network, {"one": shifted}, cases)["one"]
    assert parity.names == ["case2", "case3"]
    assert parity.facts["max_difference"] == pytest.approx(0.01, abs=1e-5)
    assert parity.facts["mean_difference"] == pytest.approx(0.01, abs=1e-5)
    assert 0.5 < parity.facts["lowest_dice"] < 1 and "case2" in parity.fault
    nothing = measure_parity(task, network, {"one": lambda images: np.full_like(images, np.nan)}, cases)["one"]
    assert "case2: values that differ by up to nan" in nothing.fault


def test_calibration_sees_training_cases_alone(tmp_path: Path) -> None:
    task = tiny_task(network=SHALLOW)
    _, datalist = student_and_list(tmp_path, task)
    images = calibration_images(task, datalist)
    assert len(images) == 2 and all(image.shape == (1, 1, 64, 64) for image in images)
    expected = [np.asarray(case["image"]) for case in cases_of(task, datalist, "training")]
    assert all(np.array_equal(image[0, :, :, :50], one) for image, one in zip(images, expected, strict=True))


def test_int8_leaves_the_logging_of_others_alone(tmp_path: Path) -> None:
    pytest.importorskip("nncf")
    pytest.importorskip("openvino")
    student, datalist = student_and_list(tmp_path, PICTURE)
    other, logger = logging.NullHandler(), logging.getLogger("nncf")
    logger.addHandler(other)
    try:
        export(open_trained(student), datalist, tmp_path / "export", to=["openvino"], int8=True)
    finally:
        logger.removeHandler(other)
    assert other.level == logging.NOTSET


def test_int8_that_loses_too_much_is_refused(tmp_path: Path) -> None:
    student, datalist = student_and_list(tmp_path, PICTURE)
    # no loss at all is better than a gain of .5
    done = export(open_trained(student), datalist, tmp_path / "export", ["onnx"], int8=True, dice_limit=-0.5)
    assert "Dice of" in done.refused["onnx_int8"] and list(done.content["formats"]) == ["onnx"]
    assert not (done.path / "model_int8.onnx").exists()


BAD: dict[str, tuple[list[str], str]] = {
    "tensorrt": (["--to", "tensorrt"], "on the CUDA machine"),
    "unknown": (["--to", "onx"], "did you mean 'onnx'?"),
    "nothing": (["--to", ","], "no format"),
    "int8 of torch": (["--to", "torchscript", "--int8"], "add onnx or openvino"),
    "int8 of classes": (["--int8", "--output", "classes"], "leave --output out"),
    "output": (["--output", "clases"], "did you mean 'classes'?"),
    "not int8 itself": (["--to", "onnx_int8"], "expected onnx"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_words_are_refused_before_anything_is_written(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, told = BAD[name]
    student, datalist = student_and_list(tmp_path, PICTURE)
    before = sorted(tmp_path.rglob("*"))
    assert main(["export", str(student), "--datalist", str(datalist), "--out", str(tmp_path / "export"), *words]) == 2
    printed = capsys.readouterr()
    assert told in printed.err and printed.err.count("\n") == 1 and printed.out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_a_package_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kdseg.deploy.export.formats.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'kdseg\[onnx,openvino\]'"):
        FORMATS["openvino"].check("openvino")


def test_a_folder_with_something_in_it_stays(tmp_path: Path) -> None:
    student, datalist = student_and_list(tmp_path, PICTURE)
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="something in it"):
        export(open_trained(student), datalist, tmp_path / "export")
    assert [path.name for path in (tmp_path / "export").iterdir()] == ["mine.txt"]


def test_the_command_prints_json_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    student, datalist = student_and_list(tmp_path, PICTURE)
    words = ["export", str(student), "--to", ",".join(here("onnx", "bundle")), "--datalist", str(datalist), "--json"]
    assert main([*words, "--out", str(tmp_path / "export")]) == 0
    printed = capfd.readouterr()
    content = json.loads(printed.out)
    assert content["formats"].keys() == {"onnx", "bundle"} and printed.err == ""
    assert (Path(content["path"]) / "bundle" / "configs" / "inference.json").is_file()
