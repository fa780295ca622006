"""Schedules of weights: their values at hand-computed steps, and mistakes in writing them."""

from __future__ import annotations

from typing import Any

import pytest

from kdseg.distill import METHODS, build_method
from kdseg.distill.schedules import Schedule, read_schedule
from kdseg.errors import UserError


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("constant", [1.0, 1.0, 1.0, 1.0]),
        ("ramp", [0.0, 0.2, 0.5, 1.0]),
        ({"ramp": 5}, [0.0, 0.4, 1.0, 1.0]),
        ("decay", [1.0, 0.8, 0.5, 0.0]),
        ({"decay": 5}, [1.0, 0.6, 0.0, 0.0]),
        ("tenfold_decay", [1.0, 10**-0.2, 10**-0.5, 0.1]),
        ({"tenfold_decay": 5}, [1.0, 10**-0.4, 0.1, 0.01]),
        ({"decay": 0.5}, [1.0, 0.6, 0.0, 0.0]),
        ({"ramp": 1.0}, [0.0, 0.2, 0.5, 1.0]),
    ],
)
def test_values_at_steps_0_2_5_and_10_of_10(written: Any, values: list[float]) -> None:
    schedule = read_schedule(written)
    assert [schedule.factor(step, total=10) for step in (0, 2, 5, 10)] == pytest.approx(values)


def test_a_method_takes_schedules_and_shares_as_data() -> None:
    method = build_method("lightvessel", {"fsd": {"schedule": {"ramp": 30}}, "asd": {"share": 0.5}})
    assert method.terms["fsd"].schedule == Schedule("ramp", 30)
    assert method.terms["fsd"].weight == METHODS["lightvessel"].terms["fsd"].weight
    assert method.terms["asd"].share == 0.5
    own = build_method({"mine": {"loss": "logits", "weight": 2, "schedule": "decay"}})
    assert own.terms["mine"].schedule == Schedule("decay")


def test_a_share_switches_on_a_term_that_is_off() -> None:
    assert "field" in build_method("adaptive_affinity", {"field": {"share": 0.1}}).terms


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"schedule": "rampp"}, "did you mean 'ramp'"),
        ({"schedule": {"tenfold": 10}}, "did you mean 'tenfold_decay'"),
        ({"schedule": {"ramp": 0}}, "whole number"),
        ({"schedule": {"ramp": 1.5}}, "whole number"),
        ({"schedule": {"ramp": 5, "decay": 5}}, "one of constant"),
        ({"schedule": 5}, "one of constant"),
        ({"shedule": "ramp"}, "did you mean 'schedule'"),
        ({"share": 0}, "above 0"),
        ({"share": "half"}, "above 0"),
        ({"share": 0.5, "weight": 1.0}, "a weight or a share"),
    ],
)
def test_mistakes_are_found_before_training(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        build_method("skds", {"pairwise": changes})
