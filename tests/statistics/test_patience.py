"""Whether an arm was trained long enough, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kdseg.metrics import last_quarter_gain
from kdseg.statistics.patience import patience_of


def cell(fold: str, validation: float, gain: float | None) -> dict[str, Any]:
    return {"fold": fold, "validation": validation, "last_quarter_gain": gain}


def test_the_spread_is_that_of_seeds_and_not_of_folds() -> None:
    cells = [cell("0", 0.5, 0.01), cell("0", 0.52, 0.03), cell("1", 0.9, 0.02), cell("1", 0.96, 0.02)]
    found = patience_of(cells)
    assert found["last_quarter_gain"] == pytest.approx(0.02) and found["threshold_from"] == "seeds"
    assert found["threshold"] == pytest.approx(np.sqrt((np.var([0.5, 0.52], ddof=1) + np.var([0.9, 0.96], ddof=1)) / 2))
    assert found["has_stopped"]


def test_folds_of_one_seed_each_have_the_stated_threshold() -> None:
    assert patience_of([cell("0", 0.5, 0.004), cell("1", 0.9, 0.004)])["has_stopped"]
    found = patience_of([cell("0", 0.5, 0.006), cell("1", 0.9, 0.006)])
    assert (found["threshold"], found["threshold_from"], found["has_stopped"]) == (0.005, "stated", False)


def test_nothing_is_said_where_nothing_is_known() -> None:
    # of an older version, with too few validations, or a teacher that was given
    for cells in ([{"fold": "0"}], [cell("0", 0.5, None)], []):
        found = patience_of(cells)
        assert found["last_quarter_gain"] is None and found["has_stopped"] is None


def test_noise_around_a_level_is_no_gain_and_a_rise_is() -> None:
    random = np.random.default_rng(0)
    level = 0.7 + random.normal(0, 0.01, 40)
    rise = 0.7 + 0.1 * np.linspace(0, 1, 40) + random.normal(0, 0.01, 40)
    flat, steep = last_quarter_gain(list(level)), last_quarter_gain(list(rise))
    assert flat is not None and abs(flat) < 0.01
    assert steep == pytest.approx(0.025, abs=0.01)
