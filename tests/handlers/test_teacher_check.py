"""The teacher's lead over the student alone, told before the first step."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kdseg.data import content_hash
from kdseg.errors import UserError
from kdseg.handlers import TeacherCheck, validation_alone
from kdseg.task import write_json


def told(score: float, alone: float | None, caplog: pytest.LogCaptureFixture) -> tuple[str, list[str]]:
    """Everything that is said, and the warnings among it."""
    state = SimpleNamespace(key_metric_name="val_mean_dice", metrics={"val_mean_dice": score})
    evaluator: Any = SimpleNamespace(state=state, run=lambda: None)
    trainer: Any = SimpleNamespace(state=SimpleNamespace())
    caplog.clear()
    with caplog.at_level(logging.INFO, "kdseg"):
        TeacherCheck(evaluator, alone=alone)(trainer)
    assert trainer.state.teacher_score == score
    return caplog.text, [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_the_lead_is_told_and_so_is_that_there_is_none(caplog: pytest.LogCaptureFixture) -> None:
    text, warnings = told(0.8, 0.75, caplog)
    assert "the teacher's lead is +0.0500" in text and not warnings
    for alone in (0.8, 0.85):
        text, warnings = told(0.8, alone, caplog)
        assert len(warnings) == 1 and "does not lead" in warnings[0]
    text, warnings = told(0.8, None, caplog)
    assert "teacher: val_mean_dice 0.8000" in text and "lead" not in text and not warnings
    assert "below 0.1" in told(0.01, None, caplog)[1][0]


def test_the_score_of_the_student_alone_is_that_of_the_same_cases(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("{}")
    known: dict[str, Any] = {"datalist": {"sha256": content_hash(tmp_path / "list.json")}, "fold": None}
    (tmp_path / "alone").mkdir()

    def of(asked: int | None = None, **history: Any) -> float:
        write_json({**known, **history}, tmp_path / "alone" / "history.json")
        return validation_alone(tmp_path / "alone", tmp_path / "list.json", asked)

    assert of(validation={"value": 0.7}) == 0.7 and of(2, validation={"value": 0.7}, fold=2) == 0.7
    with pytest.raises(UserError, match="no finished training"):
        of()
    for changed in ({"fold": 1}, {"datalist": {"sha256": "other"}}):
        with pytest.raises(UserError, match="another data list or fold"):
            of(validation={"value": 0.7}, **changed)
    with pytest.raises(UserError, match="no finished training"):
        validation_alone(tmp_path / "nothing", tmp_path / "list.json")
