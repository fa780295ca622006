"""Beside the plain matrix: few labels, given teachers, minutes, ablations, several students."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from kdseg.cli.main import main
from tests.compare.test_compare import cells, same, words, work  # noqa: F401 (a fixture)


def test_few_labels_are_comparisons_of_their_own(work: Path, tmp_path: Path, capsys: Any) -> None:  # noqa: F811
    out = tmp_path / "run"
    assert main(words(work, out, "--methods", "kd", "--semi", "1", budget="2")) == 0
    assert [arm for _, arm, _ in cells(out)] == ["teacher", "alone", "kd"]
    assert [arm for _, arm, _ in cells(out / "labelled_1")] == ["teacher", "alone", "kd", "kd+unlabelled"]
    content = json.loads((out / "labelled_1" / "lists" / "fold_all.json").read_text())
    assert len({record["patient"] for record in content["training"]}) == 1
    assert not any("label" in record for record in content["unlabelled"]) and len(content["unlabelled"]) > 2
    # the teacher has not seen the labels that are left out
    seen = json.loads((out / "labelled_1" / "cells" / "fold_all" / "teacher" / "history.json").read_text())
    assert len(seen["images_sha256"]) == len(content["training"])
    described = json.loads((out / "labelled_1" / "cells/fold_all/thin_unet/kd+unlabelled/seed_0/cell.json").read_text())
    assert described["settings"]["batch_size"] == 4 and described["layers"][-1] == "semi_supervised"
    assert "labels of 1 patient" in capsys.readouterr().out


def test_a_given_teacher_is_measured_and_teaches(work: Path, tmp_path: Path) -> None:  # noqa: F811
    first = tmp_path / "first"
    assert main(words(work, first, "--methods", "kd")) == 0
    model = first / "cells" / "fold_all" / "teacher" / "model.pt"
    assert main(words(work, tmp_path / "second", "--methods", "kd", "--teacher", str(model))) == 0
    one, two = cells(first), cells(tmp_path / "second")
    assert same(first / one["all", "kd", 0]["folder"], tmp_path / "second" / two["all", "kd", 0]["folder"])
    assert two["all", "teacher", 0]["steps"] is None
    assert two["all", "teacher", 0]["params"] == one["all", "teacher", 0]["params"]
    assert (first / "cases.csv").read_text() == (tmp_path / "second" / "cases.csv").read_text()


def test_minutes_are_steps_that_stay(work: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:  # noqa: F811
    out = tmp_path / "run"
    logging.getLogger("kdseg").propagate = True
    assert main(words(work, out, "--methods", "kd", budget="0.01m")) == 0
    steps = {row["steps"] for row in cells(out).values()}
    assert len(steps) == 1 and steps.pop() > 0
    before = json.loads((out / "comparison.json").read_text())["steps"]
    # more seeds later: the same number of steps, without taking the time again
    assert main(words(work, out, "--methods", "kd", "--seeds", "2", budget="0.01m")) == 0
    assert {row["steps"] for row in cells(out).values()} == {before}


def test_the_terms_of_a_method_one_by_one(work: Path, tmp_path: Path, capsys: Any) -> None:  # noqa: F811
    assert main(words(work, tmp_path / "run", "--ablate", "lightvessel", budget="2")) == 0
    done = cells(tmp_path / "run")
    arms = ["lightvessel[fsd]", "lightvessel[asd]", "lightvessel[fsd+asd]"]
    assert [arm for _, arm, _ in done] == ["teacher", "alone", *arms]
    described = json.loads((tmp_path / "run" / done["all", arms[0], 0]["folder"] / "cell.json").read_text())
    assert described["settings"]["method_args"] == {"asd": {"weight": 0}}
    table = capsys.readouterr().out
    assert table.count("✓") == 4 and "| fsd" in table


def test_several_students_and_settings_of_one_arm(work: Path, tmp_path: Path) -> None:  # noqa: F811
    out = tmp_path / "run"
    command = words(work, out, "--methods", "kd", "--students", "thin_unet,enet", budget="2")
    command = [word for word in command if not word.startswith("network#")]
    command = [word for place, word in enumerate(command) if command[place : place + 2] != ["--set", "--set"]]
    command += ["--set", "kd:learning_rate=0.5", "--set", "teacher:epochs=3"]
    assert main(command) == 0
    rows = json.loads((out / "cells.json").read_text())
    assert [(row["student"], row["arm"]) for row in rows[1:]] == [
        (student, arm) for student in ("thin_unet", "enet") for arm in ("alone", "kd")
    ]
    assert rows[0]["steps"] == 6 and {row["steps"] for row in rows[1:]} == {2}
    assert rows[1]["params"] == rows[2]["params"] != rows[3]["params"] == rows[4]["params"]
    states = [torch.load(out / row["folder"] / "training.pt", weights_only=True) for row in rows[1:3]]
    rates = [state["optimizer"]["param_groups"][0]["initial_lr"] for state in states]
    assert rates == [0.001, 0.5]
