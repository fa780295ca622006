"""The benchmark of a step: what it measures and what it refuses. The numbers themselves are for docs/benchmarks.md."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kdseg.benchmark import step_cost as room
from kdseg.benchmark.step_cost import SOFT_LABELS_ROW, benchmark_step
from kdseg.cli.main import main
from kdseg.errors import UserError

SMALL: dict[str, Any] = {"size": (32, 32), "batch": 3, "teacher_channels": 4, "repeats": 1}


def test_every_column_is_measured() -> None:
    (row,) = benchmark_step(["lightvessel"], **SMALL)
    assert list(row) == ["method", "ratio", "student_ms", "teacher_ms", "discriminator_ms", "step_ms"]
    assert row["discriminator_ms"] > 0 and row["step_ms"] > row["student_ms"]
    ideal = row["student_ms"] + row["teacher_ms"]
    assert row["ratio"] == pytest.approx((row["step_ms"] - row["discriminator_ms"]) / ideal, rel=0.05)


def test_no_discriminator_costs_nothing() -> None:
    (row,) = benchmark_step(["kd"], **SMALL)
    assert row["discriminator_ms"] < 0.1


def test_a_step_from_soft_labels_is_measured_against_the_student_alone() -> None:
    (row,) = benchmark_step([SOFT_LABELS_ROW], **SMALL)
    assert row["teacher_ms"] < 0.1 and row["ratio"] == pytest.approx(row["step_ms"] / row["student_ms"], rel=0.05)


def test_an_unknown_method_gets_a_suggestion() -> None:
    with pytest.raises(UserError, match="did you mean 'lightvessel'"):
        benchmark_step(["lightvesel"])


def test_the_command_prints_rows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Any] = []
    row = {
        "method": "kd",
        "ratio": 1.0123,
        "student_ms": 1.0,
        "teacher_ms": 2.0,
        "discriminator_ms": 0.0,
        "step_ms": 3.0,
    }
    monkeypatch.setattr(room, "benchmark_step", lambda methods: (asked.append(methods), [row])[1])
    assert main(["benchmark", "step", "--method", "kd", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [row]
    assert main(["benchmark", "step"]) == 0
    assert asked == [["kd"], None] and "1.01" in capsys.readouterr().out


def test_the_command_refuses_an_unknown_method(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "step", "--method", "kdd"]) == 2
    assert "did you mean 'kd'" in capsys.readouterr().err
