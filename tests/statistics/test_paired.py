"""Intervals, p-values and shares: against hand computation and scipy, and silent where nothing can be said."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kdseg.statistics import paired
from kdseg.statistics.paired import MINIMUM_CASES, holm, mean_interval, share_interval, signed_rank_p


def test_the_interval_of_many_normal_values_is_the_t_interval() -> None:
    values = np.random.default_rng(0).normal(0.02, 0.01, 200)
    low, high = stats.t.interval(0.95, 199, values.mean(), stats.sem(values))
    found = mean_interval(values)
    assert found.low == pytest.approx(low, abs=1e-4) and found.high == pytest.approx(high, abs=1e-4)


def test_the_level_is_expanded_so_that_few_cases_are_as_wide_as_a_t_interval() -> None:
    # by hand for 10 values: z = sqrt(10/9)·2.2622 = 2.3845, two-sided level 1 − 2·0.008550
    assert paired._expanded_level(10) == pytest.approx(0.98290, abs=2e-5)
    assert paired._expanded_level(100_000) == pytest.approx(0.95, abs=1e-5)


def test_the_same_cases_give_the_same_interval() -> None:
    values = [0.1, 0.3, -0.1, 0.2, 0.25, 0.0, 0.15]
    assert mean_interval(values) == mean_interval(values)


@pytest.mark.parametrize("draw", ["normal", "exponential"])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(draw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """300 sets of 8 cases. The plain percentile interval holds a normal mean 90 % and a skewed one 83 % of the time."""
    monkeypatch.setattr(paired, "RESAMPLES", 1000)
    random = np.random.default_rng(3)
    held = 0
    for _ in range(300):
        values = random.normal(1.0, 1.0, 8) if draw == "normal" else random.exponential(1.0, 8)
        interval = mean_interval(values)
        held += interval.low <= 1.0 <= interval.high
    least = {"normal": 0.925, "exponential": 0.86}[draw]
    assert least <= held / 300 <= 0.98


def test_too_few_or_equal_cases_have_no_interval() -> None:
    assert mean_interval([0.1] * 3).reason == f"only 3 cases, and an interval needs at least {MINIMUM_CASES}"
    assert mean_interval([0.1]).reason == f"only 1 case, and an interval needs at least {MINIMUM_CASES}"
    assert mean_interval([]).reason == f"no case, and an interval needs at least {MINIMUM_CASES}"
    assert mean_interval([0.1] * 9).reason == "all cases have the same value"


def test_a_share_is_resampled_in_pairs() -> None:
    """Half of every case's lead was gained: the share is one half in every resample, however the leads differ."""
    leads = np.array([0.02, 0.05, 0.08, 0.03, 0.06, 0.04, 0.09])
    found = share_interval(leads / 2, leads)
    assert found.low == pytest.approx(0.5) and found.high == pytest.approx(0.5)
    crossed = share_interval(leads[::-1] / 2, leads)
    assert crossed.low < 0.45 and crossed.high > 0.55


def test_a_share_of_an_uncertain_lead_has_no_interval() -> None:
    gains, leads = np.full(8, 0.01), np.array([0.1, -0.1, 0.1, -0.09, 0.1, -0.1, 0.1, -0.1])
    assert leads.mean() > 0
    assert "not certain" in str(share_interval(gains, leads).reason)
    assert share_interval(gains, np.full(8, 0.02)).reason == "all cases have the same value"
    assert share_interval(np.linspace(0, 0.02, 8), np.full(8, 0.02)).low is not None


def test_the_signed_rank_test_is_scipys() -> None:
    # all six of one sign: 2/2⁶
    assert signed_rank_p([3, 1, 2, 6, 5, 4])[0] == pytest.approx(2 / 64)
    values = np.random.default_rng(1).normal(0.3, 1, 30)
    assert signed_rank_p(values)[0] == pytest.approx(stats.wilcoxon(values).pvalue)
    assert signed_rank_p([0.0] * 8) == (None, "no case differs")
    assert signed_rank_p([]) == (None, "no case to compare")


def test_differences_equal_but_for_rounding_are_none() -> None:
    assert signed_rank_p([0.1 + 0.2 - 0.3] * 8) == (None, "no case differs")


def test_holm_by_hand() -> None:
    # sorted 0.01·4, 0.02·3, 0.03·2, 0.8·1, each at least the one before
    found = holm({"a": 0.03, "b": 0.01, "c": 0.8, "d": 0.02, "none": None})
    assert found == {
        "a": pytest.approx(0.06),
        "b": pytest.approx(0.04),
        "c": pytest.approx(0.8),
        "d": pytest.approx(0.06),
        "none": None,
    }
    assert holm({"a": None}) == {"a": None} and holm({}) == {}
