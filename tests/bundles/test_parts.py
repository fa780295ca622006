"""What the bundles share is written once, and stands in each of them."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from kdseg.cli.main import main
from kdseg.configuration import compose_bundle, shipped_bundles
from kdseg.task import Task

BUNDLES = Path(__file__).parents[2] / "bundles"


@pytest.fixture(scope="module")
def assemble() -> ModuleType:
    spec = importlib.util.spec_from_file_location("assemble", BUNDLES / "parts" / "assemble.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_bundle_is_as_its_parts_say(assemble: ModuleType) -> None:
    assert set(assemble.bundle_names()) == set(shipped_bundles())
    for name in assemble.bundle_names():
        for path, content in assemble.assembled(name).items():
            assert (BUNDLES / name / path).read_text(encoding="utf-8") == content, f"{name}/{path}: run 'make bundles'"


@pytest.mark.parametrize("name", sorted(shipped_bundles()))
def test_every_bundle_has_what_the_model_zoo_asks_for(name: str) -> None:
    configs = "metadata train train_teacher distill evaluate inference multi_gpu_train semi_supervised"
    files = [*(f"configs/{config}.json" for config in configs.split()), "configs/logging.conf", "LICENSE", "task.json"]
    files += ["docs/README.md", "docs/data_license.txt", "models/README.md"]
    assert [file for file in files if not (BUNDLES / name / file).is_file()] == []
    contents = {path.stem: json.loads(path.read_text()) for path in (BUNDLES / name / "configs").glob("*.json")}
    assert not [config for config, content in contents.items() if "_own_" in content]
    # nothing that a bundle has to give was forgotten
    given = ("steps_per_epoch", "epochs", "learning_rate", "weight_decay", "teacher_def")
    assert not [key for key in given if contents["train"][key] is None] and contents["train"]["train"]["augmentation"]


@pytest.mark.parametrize("name", sorted(shipped_bundles()))
def test_without_a_method_it_is_the_recommended_one(name: str) -> None:
    for more in ([], ["semi_supervised"]):
        workflow = compose_bundle(BUNDLES / name, ["train", "distill", *more], {}, own_logging=False)
        assert workflow.parser.get_parsed_content("method") == "recommended"
        # what gastric_pathology changes of other methods changes nothing of this one
        assert workflow.parser.get_parsed_content("method_args") == {}


@pytest.mark.parametrize("name", sorted(shipped_bundles()))
def test_what_the_network_is_fed_is_said_by_the_task_alone(name: str) -> None:
    """A name of the task in a configuration would be a second place for it."""
    names = {entry.name for entry in fields(Task)}
    for path in sorted((BUNDLES / name / "configs").glob("*.json")):
        content = json.loads(path.read_text())
        if path.stem not in ("metadata", "inference"):
            assert not names & set(content), path.name


def test_parts_are_joined_key_by_key(assemble: ModuleType) -> None:
    shared = {"a": 1, "_own_": None, "b": {"c": [1], "d": 2}, "network": {"_target_": "One", "size": 1}, "gone": 1}
    own = {"b": {"c": [2, 3]}, "new": 5, "network": {"_target_": "Two"}, "gone": None}
    joined = assemble.joined(shared, own)
    assert joined == {"a": 1, "new": 5, "b": {"c": [2, 3], "d": 2}, "network": {"_target_": "Two"}}
    assert list(joined) == ["a", "new", "b", "network"]
    assert json.loads(assemble.formatted(joined)) == joined


def test_a_copy_to_edit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "copy", "coronary_angiogram", str(tmp_path / "mine"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] >= 14
    assert (tmp_path / "mine" / "configs" / "train.json").is_file()
    (tmp_path / "mine" / "notes.txt").write_text("kept")
    assert main(["bundle", "copy", "coronary_angiogram", str(tmp_path / "mine")]) == 2
    assert "empty folder" in capsys.readouterr().err and (tmp_path / "mine" / "notes.txt").read_text() == "kept"
    assert main(["bundle", "copy", "coronary_angiogramm", str(tmp_path / "other")]) == 2
    assert "coronary_angiogram" in capsys.readouterr().err
