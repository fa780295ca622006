"""Means over trainings and cases: against hand computation and scipy, and silent where nothing can be said."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kdseg.statistics.paired import crossed_mean, crossed_share, holm

RUNS, CASES = np.repeat(np.arange(6), 8), np.tile(np.arange(8), 6)
RANDOM = np.random.default_rng(0)


def test_where_only_trainings_differ_it_is_the_t_test_over_trainings() -> None:
    effects = RANDOM.normal(0.02, 0.02, 6)
    found, known = crossed_mean(effects[RUNS], RUNS, CASES), stats.ttest_1samp(effects, 0)
    assert found.mean == pytest.approx(effects.mean()) and found.p == pytest.approx(known.pvalue)
    assert (found.low, found.high) == pytest.approx(known.confidence_interval(0.95))


def test_where_only_cases_differ_it_is_the_t_test_over_cases() -> None:
    effects = RANDOM.normal(0.02, 0.02, 8)
    found, known = crossed_mean(effects[CASES], RUNS, CASES), stats.ttest_1samp(effects, 0)
    assert found.p == pytest.approx(known.pvalue)
    assert (found.low, found.high) == pytest.approx(known.confidence_interval(0.95))


def test_the_variance_of_both_is_that_of_the_analysis_of_variance() -> None:
    """For all cases in all trainings: (MS of trainings + MS of cases − MS of the rest) / values, up to n/(n − 1)."""
    values = RANDOM.normal(0, 1, 6)[RUNS] + RANDOM.normal(0, 1, 8)[CASES] + RANDOM.normal(0, 0.5, 48)
    found = crossed_mean(values, RUNS, CASES)
    table = values.reshape(6, 8)
    by_run, by_case = table.mean(1).var(ddof=1) / 6, table.mean(0).var(ddof=1) / 8
    variance = by_run + by_case - values.var(ddof=1) / 48
    freedom = min(5 * (variance / by_run) ** 2, 7 * (variance / by_case) ** 2)
    assert found.high - found.mean == pytest.approx(stats.t.ppf(0.975, freedom) * np.sqrt(variance))
    assert found.mean - found.low == pytest.approx(found.high - found.mean)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(values.mean()) / np.sqrt(variance), freedom))


def test_a_case_counts_once_however_many_trainings_measured_it() -> None:
    runs, cases = [*RUNS, 6, 7], [*CASES, 0, 0]
    found = crossed_mean([*np.where(CASES == 0, 1.0, 0.0), 0.0, 0.0], runs, cases)
    assert found.mean == pytest.approx((6 / 8) / 8)


def test_names_and_order_of_the_values_do_not_matter() -> None:
    values, order = RANDOM.normal(0, 1, 48), RANDOM.permutation(48)
    named = [f"{run % 2}/{run // 2}" for run in RUNS[order]]
    one, other = crossed_mean(values, RUNS, CASES), crossed_mean(values[order], named, CASES[order].astype(str))
    assert (one.low, one.high, one.p) == pytest.approx((other.low, other.high, other.p))


@pytest.mark.parametrize("folds", [1, 3])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(folds: int) -> None:
    """With the variances that were found on angiograms; over the cases alone it would be some 80 %."""
    random, held = np.random.default_rng(4), 0
    runs, cases = np.nonzero(np.kron(np.eye(folds), np.ones((6 // folds, 10))))
    for _ in range(400):
        values = random.normal(0, 0.024, 6)[runs] + random.normal(0, 0.01, 10 * folds)[cases]
        interval = crossed_mean(values + random.normal(0, 0.05, len(runs)), runs, cases)
        held += interval.low <= 0 <= interval.high
    assert 0.93 <= held / 400 <= 0.98


def test_too_few_or_equal_values_have_no_interval() -> None:
    few = crossed_mean(np.arange(32.0), RUNS[:32], CASES[:32])
    assert few.reason == "only 4 trainings, and a verdict needs at least 5" and few.low is few.p is None
    assert few.mean == 15.5
    assert crossed_mean([0.1], ["a"], ["b"]).reason == "only 1 training, and a verdict needs at least 5"
    some = CASES < 5
    assert "only 5 cases" in str(crossed_mean(np.arange(48.0)[some], RUNS[some], CASES[some]).reason)
    # equal but for the last bits
    assert crossed_mean(np.where(CASES % 2, 0.3, 0.1 + 0.2), RUNS, CASES).reason == "all differences are the same"


def test_a_share_is_that_of_its_pairs() -> None:
    """Half of every lead was gained: the share is one half, however the leads differ."""
    leads = 0.1 + 0.02 * RANDOM.normal(size=48)
    found = crossed_share(leads / 2, leads, RUNS, CASES)
    assert (found.low, found.mean, found.high) == pytest.approx((0.5, 0.5, 0.5))
    crossed = crossed_share(leads[::-1] / 2, leads, RUNS, CASES)
    assert crossed.low < 0.5 < crossed.high and crossed.p is None


def test_a_share_of_a_constant_lead_is_the_interval_of_the_gain_over_it() -> None:
    gains = RANDOM.normal(0.02, 0.02, 48)
    share, gain = crossed_share(gains, np.full(48, 0.1), RUNS, CASES), crossed_mean(gains, RUNS, CASES)
    assert (share.low, share.high) == pytest.approx((gain.low / 0.1, gain.high / 0.1))


def test_the_bounds_of_a_share_are_those_that_the_pairs_just_allow() -> None:
    """With so many trainings and cases that the degrees of freedom hardly matter."""
    random = np.random.default_rng(6)
    runs, cases = np.repeat(np.arange(40), 40), np.tile(np.arange(40), 40)
    leads = 0.1 + 0.02 * random.normal(size=40)[runs] + 0.02 * random.normal(size=1600)
    gains = 0.3 * leads + 0.03 * random.normal(size=40)[cases] + 0.02 * random.normal(size=1600)
    share = crossed_share(gains, leads, runs, cases)
    for bound in (share.low, share.high):
        assert crossed_mean(gains - bound * leads, runs, cases).p == pytest.approx(0.05, abs=0.005)
    assert share.low < 0.3 < share.high


def test_a_share_holds_zero_when_the_gain_does() -> None:
    """Whatever gain and lead have in common: both lack what the student alone has."""
    alone, random = RANDOM.normal(0, 0.05, 48), np.random.default_rng(5)
    for mean in (0.0, 0.01, 0.02, 0.04):
        gains, leads = mean + 0.05 * random.normal(size=48) - alone, 0.2 - alone
        gain, share = crossed_mean(gains, RUNS, CASES), crossed_share(gains, leads, RUNS, CASES)
        assert (gain.low > 0, gain.high < 0) == (share.low > 0, share.high < 0)


def test_a_share_of_an_uncertain_lead_has_no_interval() -> None:
    leads = np.where(CASES % 2, 0.1, -0.09)
    assert leads.mean() > 0
    assert "not certain" in str(crossed_share(RANDOM.normal(size=48), leads, RUNS, CASES).reason)


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
    assert holm({"a": 0.7, "b": 0.6}) == {"a": 1.0, "b": 1.0}
    assert holm({"a": None}) == {"a": None} and holm({}) == {}
