"""task.json: what it says, and every way in which it can be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kdseg.configuration import shipped_bundles
from kdseg.errors import UserError
from kdseg.task import Task, load_task, read_task
from kdseg.task.task import SCHEMA_VERSION
from tests.tasks import tiny_task


def written(folder: Path, content: Any) -> Path:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "task.json").write_text(text, encoding="utf-8")
    return folder


def valid(**changes: Any) -> dict[str, Any]:
    return {**tiny_task().as_json(), **changes}


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    task = tiny_task(kind="volume", patch_size=[32, 48], window=[-100.5, 200], modality=["CT"], description="Märchen")
    task.write(tmp_path)
    assert read_task(tmp_path).as_json() == task.as_json() == read_task(tmp_path / "task.json").as_json()
    content = json.loads((tmp_path / "task.json").read_text(encoding="utf-8"))
    assert content["schema"] == SCHEMA_VERSION and content["kdseg_version"]
    # all of it, defaults too: what a default is may change
    assert len(content) > 30 and not [value for value in content.values() if str(value).startswith("$")]


@pytest.mark.parametrize("name", sorted(shipped_bundles()))
def test_the_tasks_of_the_bundles(name: str) -> None:
    task = read_task(shipped_bundles()[name])
    assert task.name == name and task.changed({}).as_json() == task.as_json()
    assert task.out_channels == len(task.classes) + (task.head == "softmax")
    assert list(task.labels.values()) == ["background", *task.classes]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        ("null", "found NoneType; expected an object"),
        ("[]", "found list; expected an object"),
        ('"text"', "found str; expected an object"),
        ("[" * 100_000, "no JSON"),
        ("\x00\x01", "no JSON"),
        (valid(schema=SCHEMA_VERSION + 1, kdseg_version="9.1"), "install kdseg 9.1 or newer"),
        (valid(schema="one"), "a task of schema 'one'"),
        (valid(schema=None), "a task of schema None"),
        (valid(clahee=True), "did you mean 'clahe'?"),
        (valid(_target_="os.system"), "'_target_'"),
        ({"schema": 1, "name": "tiny"}, "'kind' is a required property"),
        (valid(kind=None), "kind null"),
        (valid(kind="pictures"), 'kind "pictures"'),
        (valid(classes=[]), "classes []"),
        (valid(classes="vessel"), 'classes "vessel"'),
        (valid(classes=["a", "a"]), 'classes ["a", "a"]'),
        (valid(classes=["a", 1]), "classes#1 1"),
        (valid(classes={"1": "a"}), "classes"),
        (valid(network={}), "network {}"),
        (valid(network=None), "network null"),
        (valid(network="unet"), 'network "unet"'),
        (valid(network={"name": 3}), "network#name 3"),
        (valid(head="relu"), "head"),
        (valid(name=""), "name"),
        (valid(name="../../etc"), "name"),
        (valid(frame=-1), "frame -1"),
        (valid(frame="first"), "frame"),
        (valid(frame=1.5), "frame 1.5"),
        (valid(frame=True), "frame true"),
        (valid(clahe="yes"), 'clahe "yes"'),
        (valid(clahe=1), "clahe 1"),
        (valid(level=-1), "level -1"),
        (valid(window=[1]), "window [1]"),
        (valid(window=[1, "2"]), "window#1"),
        (valid(window=[3, 2]), "window [3, 2]"),
        (valid(patch_size=[32]), "patch_size [32]"),
        (valid(patch_size=[32.5, 32]), "patch_size#0 32.5"),
        (valid(patch_size=[0, 32]), "patch_size [0, 32]"),
        (valid(patch_size=[32, 32, 32]), "patch_size of 3 sides"),
        (valid(patch_size=[32, 32], border=16), "border 16"),
        (valid(tile=0), "tile 0"),
        (valid(spacing=[1, 1]), "spacing [1, 1]"),
        (valid(spacing=[1, 1, 0]), "spacing [1, 1, 0]"),
        (valid(dimensions=4), "dimensions 4"),
        (valid(dimensions=3), "pictures and dimensions 3"),
        (valid(kind="volume"), "a volume without patch_size"),
        (valid(kind="volume", dimensions=3, patch_size=[32, 32, 32]), "dimensions 3 without spacing"),
        (valid(kind="volume", patch_size=[32, 32], colour=True), "colour in a volume"),
        (valid(kind="volume", patch_size=[32, 32], neighbours=2), "neighbours 2"),
        (valid(neighbours=3), "neighbours"),
        (valid(overlap=1), "overlap 1"),
        (valid(divisible=0), "divisible 0"),
        (valid(metrics=[]), "metrics []"),
        (valid(plane="oblique"), "plane"),
        (valid(uneven="mend"), "uneven"),
    ],
    ids=str,
)
def test_every_damage_is_told_in_one_line(content: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_task(written(tmp_path, content))
    text = str(caught.value)
    assert told in text and "\n" not in text and str(tmp_path) in text, text


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"kdseg task BUNDLE --set … --out"):
        read_task(tmp_path)


def test_no_text(tmp_path: Path) -> None:
    (tmp_path / "task.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="no JSON"):
        read_task(tmp_path)


def test_numbers_that_are_none(tmp_path: Path) -> None:
    text = json.dumps(valid(kind="volume", patch_size=[32, 32]))
    for value in ("NaN", "Infinity", "1e999"):
        with pytest.raises(UserError):
            read_task(written(tmp_path, text.replace('"window": null', f'"window": [0, {value}]')))


def test_a_deep_network_is_refused_or_read(tmp_path: Path) -> None:
    """The network's own settings are anything that JSON has, however deep."""
    deep: Any = 1
    for _ in range(300):
        deep = {"a": deep}
    task = read_task(written(tmp_path, valid(network={"name": "unet", "settings": deep})))
    assert json.loads(json.dumps(task.as_json()))["network"]["settings"] == deep


def test_settings_of_the_network_join_and_another_network_begins_anew() -> None:
    task = tiny_task(network={"name": "thin_unet", "base_channels": 2})
    assert task.changed({"network": {"dropout": 0}}).network == {"name": "thin_unet", "base_channels": 2, "dropout": 0}
    assert task.changed({"network": {"name": "enet"}}).network == {"name": "enet"}


def test_a_change_of_another_kind_is_refused() -> None:
    for name, value in (("clahe", "true"), ("clahee", True), ("classes", []), ("patch_size", [32])):
        with pytest.raises(UserError, match=name):
            tiny_task().changed({name: value})


def test_a_task_cannot_be_altered() -> None:
    with pytest.raises(AttributeError):
        tiny_task().clahe = True  # type: ignore[misc]


def test_what_a_data_list_says_comes_before_the_users_changes(tmp_path: Path) -> None:
    tiny_task().write(tmp_path)
    (tmp_path / "list.json").write_text(json.dumps({"frame": 3, "level": 1, "labels": {"0": "background"}}))
    task = load_task(tmp_path, tmp_path / "list.json")
    assert (task.frame, task.level) == (3, 1)
    task = load_task(tmp_path, tmp_path / "list.json", frame="best")
    assert (task.frame, task.level) == ("best", 1)


def test_equal_tasks_are_equal_however_they_came_about(tmp_path: Path) -> None:
    first = Task("tiny", "picture", ("thing",), {"name": "unet"})
    first.write(tmp_path)
    assert read_task(tmp_path).as_json() == first.as_json() == first.changed({}).as_json()
