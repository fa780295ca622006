"""What a page is made of: packages that are checked, tasks that it can do, a policy that fits its content."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from kdseg.deploy.export import export
from kdseg.deploy.web.packages import DICOM_PARSER, PACKAGES, page_files
from kdseg.deploy.web.supported import check_page_can_do
from kdseg.errors import UserError
from kdseg.task import open_trained
from tests.exports import SHALLOW, student_and_list
from tests.tasks import tiny_task


class OneSize(nn.Conv2d):
    """Adds something to each pixel of a picture, which is then of that size."""

    def __init__(self, spatial_dims: int, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 1)
        self.pattern = nn.Parameter(torch.randn(64, 64))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return super().forward(image) + self.pattern


PAGE = Path(__file__).parents[2] / "kdseg" / "deploy" / "web" / "page"


def test_without_npm_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=r"no npm .* npm pack onnxruntime-web@.* --runtime-package FILE.tgz"):
        page_files()


def npm(folder: Path, script: str) -> str:
    """A program in npm's place."""
    path = folder / "npm"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_without_a_network_it_is_said_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = npm(tmp_path, "echo 'npm error code ENOTFOUND' >&2; exit 1")
    monkeypatch.setattr(shutil, "which", lambda name: program)
    with pytest.raises(UserError, match=r"cannot fetch it \(ENOTFOUND\).* --runtime-package FILE.tgz"):
        page_files()


def test_another_content_than_the_tested_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = npm(tmp_path, 'echo other > "$4/package.tgz"')
    monkeypatch.setattr(shutil, "which", lambda name: program)
    with pytest.raises(UserError, match="another content than kdseg was tested with"):
        page_files()
    (tmp_path / "package.tgz").write_bytes(b"other")
    with pytest.raises(UserError, match=rf"another content; expected .*{DICOM_PARSER.title}, unchanged"):
        page_files([tmp_path / "package.tgz"])
    with pytest.raises(UserError, match="no such file"):
        page_files([tmp_path / "none.tgz"])


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"kind": "volume", "patch_size": [32, 32]}, "volumes"),
        ({"level": 2}, "level"),
    ],
)
def test_tasks_that_the_page_cannot_do_are_refused(changes: dict, word: str) -> None:
    with pytest.raises(UserError, match=word):
        check_page_can_do(tiny_task(**changes))


def test_every_module_is_found_by_those_that_import_it() -> None:
    for path in PAGE.glob("*.js"):
        vendored = {name for package in PACKAGES for name in package.files.values()}
        for name in re.findall(r'from "\./([\w.-]+)";', path.read_text(encoding="utf-8")):
            assert (PAGE / name).is_file() or name in vendored


def test_no_file_of_the_page_names_another_place() -> None:
    for path in PAGE.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text and "https:" not in text, path.name


def test_what_the_page_is_not_made_of_is_said_early(tmp_path: Path) -> None:
    student, datalist = student_and_list(tmp_path, tiny_task(network=SHALLOW))
    for options in ({"single_file": True}, {"runtime_packages": ["x.tgz"]}):
        with pytest.raises(UserError, match="add web to --to"):
            export(open_trained(student), datalist, tmp_path / "out", ["onnx"], **options)
    with pytest.raises(UserError, match="leave --output out"):
        export(open_trained(student), datalist, tmp_path / "out", ["web"], output="classes")
    assert not (tmp_path / "out").exists()


def test_a_network_for_one_size_is_refused(tmp_path: Path) -> None:
    task = tiny_task(network={"name": f"{__name__}.OneSize"})
    student, datalist = student_and_list(tmp_path, task)
    with pytest.raises(UserError, match="a graph for 64×64 pixels alone"):
        export(open_trained(student), datalist, tmp_path / "out", ["web"])
