"""What a command says that it wrote is there: every path in what it prints, for people and as JSON."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import pydicom
import pytest

from kdseg.cli.main import COMMANDS, main
from kdseg.phantom import write_phantom_set

SMALL = ["epochs=1", "steps_per_epoch=1", "val_interval=1", "batch_size=2", "crop_size=[32,32]"]
SMALL += ["teacher_def#base_channels=3", "network#base_channels=2"]
SUFFIXES = r"json|csv|png|pt|pt2|ts|md|html|conf|txt|dcm|nii\.gz|db"
NAME = re.compile(rf"[\w./\\-]*\w\.(?:{SUFFIXES})\b(?!\.)")
# of a command that is run next, or of what the user may write: nobody says that it is there
SUGGESTION = re.compile(r"^ +(kdseg|python) |docs/\w+\.md")


@dataclass
class Run:
    """A command that was run.

    Attributes:
        name: of the command.
        out, err: what it printed.
        folders: where names without a folder may be.
    """

    name: str
    out: str
    err: str
    folders: list[Path]

    @property
    def content(self) -> Any:
        """What it printed as JSON; None of a run for people."""
        try:
            return json.loads(self.out)
        except ValueError:
            return None


def run(work: Path, command: str, *words: str, folders: list[Path] | None = None) -> Run:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        assert main([command, *words]) == 0, err.getvalue()
    return Run(command, out.getvalue(), err.getvalue(), [work, *(folders or [])])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Every command that writes, once for people and once as JSON where it can."""
    work = tmp_path_factory.mktemp("announced")
    write_phantom_set(work / "data", count=8, unlabelled=2, size=64)
    datalist, images = str(work / "list.json"), str(work / "data" / "images")
    teacher, student, own = work / "teacher", work / "student", work / "own"
    small = [part for setting in SMALL for part in ("--set", setting)]
    of_teacher = [part for setting in SMALL[:-1] for part in ("--set", setting)]
    common = ["coronary_angiogram", "--datalist", datalist]
    distilled = ["--teacher", str(teacher), "--method", "kd", "--output-dir", str(student)]
    compare = [*common, "--methods", "kd", "--budget", "2", "--set", "batch_size=2", "--set", "crop_size=[32,32]"]
    to = ["--to", "torchscript,exported", "--datalist", datalist, "--out"]
    demo = [work / "demo" / "data" / "images"]
    done = {
        "prepare": run(work, "prepare", "coronary_angiogram", str(work / "data"), "--out", datalist),
        "prepare json": run(work, "prepare", "coronary_angiogram", str(work / "data"), "--out", datalist, "--json"),
        "check": run(work, "check", datalist, "--out", str(work / "check")),
        "check json": run(work, "check", datalist, "--out", str(work / "checked"), "--json"),
        "train": run(work, "train", *common, *of_teacher, "--teacher-network", "--output-dir", str(teacher)),
        "distill": run(work, "distill", *common, *small, *distilled, folders=[student]),
        "evaluate": run(work, "evaluate", str(student), "--datalist", datalist, folders=[student]),
        "evaluate json": run(work, "evaluate", str(student), "--datalist", datalist, "--json"),
        "export": run(work, "export", str(student), *to, str(work / "export"), folders=[work / "export"]),
        "export json": run(work, "export", str(student), *to, str(work / "exported"), "--json"),
        "predict": run(
            work, "predict", str(student), images, "--output-dir", str(work / "masks"), folders=[work / "masks"]
        ),
        "predict json": run(work, "predict", str(student), images, "--output-dir", str(work / "again"), "--json"),
        "new": run(work, "new", str(own), "--like", "coronary_angiogram", folders=[own]),
        "new json": run(work, "new", str(work / "other"), "--like", "prostate_mri", "--json"),
        "task": run(work, "task", "coronary_angiogram", "--set", "clahe=true", "--out", str(work / "written")),
        "bundle": run(work, "bundle", "copy", "coronary_angiogram", str(work / "copy")),
        "bundle json": run(work, "bundle", "copy", "coronary_angiogram", str(work / "copied"), "--json"),
        "compare": run(work, "compare", *compare, "--out", str(work / "comparison")),
        "compare json": run(work, "compare", *compare, "--out", str(work / "comparison"), "--json"),
        "report": run(work, "report", str(work / "comparison")),
        "report json": run(work, "report", str(work / "comparison"), "--json"),
        "demo": run(work, "demo", "--quick", "--out", str(work / "demo"), folders=demo),
    }
    # the demo anew: what is there already is not trained again
    done["demo json"] = run(work, "demo", "--quick", "--out", str(work / "demo"), "--json", folders=demo)
    return done


EVERY = ["prepare", "check", "train", "distill", "evaluate", "predict", "new", "task", "bundle", "compare", "report"]
EVERY = [*EVERY, "export", "demo"]
AS_JSON = [f"{name} json" for name in EVERY if name not in ("train", "distill", "task")]


def test_every_command_that_writes_is_here() -> None:
    # sync sends to a store and writes no file
    assert set(COMMANDS) - set(EVERY) == {"methods", "networks", "benchmark", "sync"}


def named(text: str, work: Path) -> Iterator[str]:
    """Absolute paths below the working folder, and names of files."""
    for line in text.splitlines():
        if SUGGESTION.search(line):
            continue
        for word in re.findall(rf"{re.escape(str(work))}[\w./\\-]*", line):
            yield word.rstrip(".:,")
        for word in NAME.findall(line.replace(str(work), "")):
            if not word.startswith("/"):
                yield word


@pytest.mark.parametrize("name", EVERY + AS_JSON)
def test_every_path_that_is_printed_is_there(name: str, runs: dict[str, Run]) -> None:
    done = runs[name]
    work = done.folders[0]
    texts = [done.err] if name.endswith("json") else [done.out, done.err]
    words = [word for text in texts for word in named(text, work)]
    if done.content is not None:
        words += [word for word in strings(done.content) if word.startswith(str(work))]
    for word in words:
        places = [folder / word for folder in done.folders]
        assert any(place.exists() for place in places), f"kdseg {name} announces {word}"
    # those that write for their users say where
    if name in (
        "evaluate",
        "predict",
        "export",
        "demo",
        "compare",
        "report",
        "prepare",
        "task",
        "bundle",
        "new",
        "check",
    ):
        assert words


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from strings(part)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("name", AS_JSON)
def test_json_is_all_that_is_printed(name: str, runs: dict[str, Run]) -> None:
    assert isinstance(runs[name].content, (dict, list))


@pytest.mark.parametrize("name", EVERY)
def test_a_clean_run_prints_nothing_to_be_ignored(name: str, runs: dict[str, Run]) -> None:
    told = runs[name].out + runs[name].err
    for word in ("Warning", "warnings.warn", "Traceback", "deprecated"):
        assert word not in told, told


def test_predict_names_every_mask_and_no_other(runs: dict[str, Run]) -> None:
    content = runs["predict json"].content
    masks = {str(path) for path in Path(content["output_dir"]).rglob("*") if path.is_file()}
    assert masks == {case["output"] for case in content["cases"]} and len(masks) == content["segmented"] == 8
    told = runs["predict"].out
    assert all(Path(mask).name in told for mask in masks) and "8 files segmented" in told


def test_the_demo_has_a_mask_of_every_frame(runs: dict[str, Run]) -> None:
    demo = runs["demo"].folders[0] / "demo"
    (mask,) = (demo / "masks").iterdir()
    cine = pydicom.dcmread(
        next((demo / "data").rglob(f"{mask.name.partition('_mask')[0]}.dcm")), stop_before_pixels=True
    )
    assert nibabel.load(mask).shape == (cine.Columns, cine.Rows, 1, cine.NumberOfFrames)
    summary = json.loads((demo / "summary.json").read_text())
    assert {"teacher", "student_alone", "student_distilled", "cine_dice"} <= set(summary)
    assert 0 <= summary["cine_dice"] <= 1
    assert (demo / "overlay.png").stat().st_size > 1000


@pytest.mark.parametrize("folder", ["teacher", "student", "demo/student_distilled"])
def test_what_the_card_of_a_network_names_is_there(folder: str, runs: dict[str, Run]) -> None:
    place = runs["demo"].folders[0] / folder
    text = (place / "README.md").read_text()
    names = set(re.findall(rf"[\w-]+\.(?:{SUFFIXES})\b", text)) - {"LIST.json"}
    assert {"picture.png", "task.json", "history.json", "inference.json"} <= names
    assert not [name for name in names if not (place / name).is_file()]


@pytest.mark.parametrize("folder", ["own", "other", "copy", "copied"])
def test_what_a_bundle_names_is_there(folder: str, runs: dict[str, Run]) -> None:
    place = runs["demo"].folders[0] / folder
    for config in (place / "configs").glob("*.json"):
        for name in re.findall(r"configs/[\w]+\.json|\.\./task\.json", config.read_text()):
            assert (config.parent / name if name.startswith("..") else place / name).is_file(), f"{config}: {name}"
