"""The figures of a comparison with known effects, by hand where they can be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from kdseg.errors import UserError
from kdseg.statistics.results import results
from tests.statistics.make_comparison import LEAD, make_comparison


def write(out: Path, rows: list[Mapping[str, Any]], **settings: Any) -> Path:
    """A folder with just these rows of a case table."""
    blank = {"fold": "all", "student": "s", "seed": "0", "site": ""}
    pd.DataFrame([{**blank, **row} for row in rows]).to_csv(out / "cases.csv", index=False, na_rep="nan")
    (out / "comparison.json").write_text(json.dumps({"format": 1, "students": ["s"], **settings}))
    return out


def arm(name: str, values: list[float], seed: int = 0, metric: str = "dice", **more: Any) -> list[dict[str, Any]]:
    owner = {"student": "", "seed": ""} if name == "teacher" else {"seed": str(seed)}
    return [{"arm": name, "case": str(case), metric: value, **owner, **more} for case, value in enumerate(values)]


def test_means_spread_and_paired_gains_by_hand(tmp_path: Path) -> None:
    rows = arm("alone", [0.5, 0.7], seed=0) + arm("alone", [0.6, 0.8], seed=1)
    rows += arm("kd", [0.6, 0.7], seed=0) + arm("kd", [0.8, 0.8], seed=1)
    found = results(write(tmp_path, rows + arm("teacher", [0.9, 0.9])))
    assert found["alone"]["dice"] == pytest.approx(0.65)
    assert found["alone"]["metrics"]["dice"]["sd"] == pytest.approx(np.std([0.6, 0.7], ddof=1))
    assert (found["alone"]["runs"], found["alone"]["cases"]) == (2, 2)
    assert found["teacher"]["dice"] == pytest.approx(0.9) and found["teacher"]["metrics"]["dice"]["sd"] is None
    kd = found["methods"]["kd"]
    # by case: (0.1 + 0.2)/2 and 0; by run: 0.05 and 0.1; the teacher leads by 0.25
    assert kd["gain"] == pytest.approx(0.075)
    assert kd["gain_sd"] == pytest.approx(np.std([0.05, 0.1], ddof=1))
    assert (kd["better_cases"], kd["compared_cases"], kd["better_runs"], kd["compared_runs"]) == (1, 2, 2, 2)
    assert kd["gap_closed"] == pytest.approx(0.075 / 0.25)
    assert kd["ci_low"] is None and kd["ci_high"] is None and kd["gap_closed_low"] is None
    assert kd["reasons"]["interval"] == "only 2 trainings, and a verdict needs at least 5"


def test_known_effects_are_found(tmp_path: Path) -> None:
    found = results(make_comparison(tmp_path, cases=30, methods={"nothing": 1e-9, "kd": 0.02, "harm": -0.03}))
    for name, effect in {"nothing": 0.0, "kd": 0.02, "harm": -0.03}.items():
        row = found["methods"][name]
        assert row["gain"] == pytest.approx(effect, abs=0.005)
        assert row["ci_low"] < row["gain"] < row["ci_high"]
        assert row["ci_low"] - 0.002 < effect < row["ci_high"] + 0.002
        assert row["gap_closed"] == pytest.approx(effect / LEAD, abs=0.1)
    assert found["methods"]["kd"]["p"] < 0.001 and found["methods"]["kd"]["ci_low"] > 0
    assert found["methods"]["harm"]["ci_high"] < 0
    assert found["methods"]["nothing"]["p"] > 0.05
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_p_values_are_corrected_for_the_number_of_methods(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows, raw = [], {}
    for name, mean in {"alone": 0.0, "a": 0.02, "b": 0.01, "c": 0.015}.items():
        # only trainings differ, so it is the t test over them
        gains = mean + random.normal(0, 0.01 if mean else 0.0, 5)
        rows += [row for seed, gain in enumerate(gains) for row in arm(name, [0.6 + gain] * 6, seed=seed)]
        raw |= {name: stats.ttest_1samp(gains, 0).pvalue} if mean else {}
    found = results(write(tmp_path, rows))["methods"]
    ordered, bound = sorted(raw, key=lambda name: raw[name]), 0.0
    for rank, name in enumerate(ordered):
        bound = min(1.0, max(bound, raw[name] * (3 - rank)))
        assert found[name]["p_uncorrected"] == pytest.approx(raw[name])
        assert found[name]["p"] == pytest.approx(bound)


def test_trainings_that_disagree_are_no_gain_however_many_cases_agree(tmp_path: Path) -> None:
    """Three of five trainings gain in every one of 40 cases, two lose: nothing is shown."""
    rows = []
    for seed, gain in enumerate([0.05, 0.05, 0.05, -0.03, -0.03]):
        alone = np.random.default_rng(seed).uniform(0.5, 0.8, 40)
        rows += arm("alone", list(alone), seed=seed) + arm("kd", list(alone + gain), seed=seed)
    kd = results(write(tmp_path, rows))["methods"]["kd"]
    assert kd["gain"] == pytest.approx(0.018) and kd["better_cases"] == 40
    assert kd["ci_low"] < 0 < kd["ci_high"] and kd["p"] > 0.3


def test_a_smaller_distance_is_a_gain(tmp_path: Path) -> None:
    rows = arm("alone", [10.0, 20.0], metric="hd95_px") + arm("kd", [8.0, 16.0], metric="hd95_px")
    rows += arm("teacher", [4.0, 14.0], metric="hd95_px")
    kd = results(write(tmp_path, rows, key_metric="hd95_px"))["methods"]["kd"]
    assert kd["gain"] == pytest.approx(3.0) and kd["better_cases"] == 2
    assert kd["gap_closed"] == pytest.approx(0.5)


def test_undefined_and_infinite_values_are_left_out_of_both_sides_and_counted(tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    rows = arm("alone", [10.0, inf, inf, nan, 30.0], metric="hd95_px")
    rows += arm("kd", [9.0, inf, 5.0, 5.0, 27.0], metric="hd95_px")
    found = results(write(tmp_path, rows, key_metric="hd95_px"))
    kd = found["methods"]["kd"]
    assert kd["gain"] == pytest.approx(2.0) and kd["compared_cases"] == 2 and kd["left_out_pairs"] == 3
    assert found["alone"]["metrics"]["hd95_px"] == {"mean": 20.0, "sd": None, "undefined": 1, "infinite": 2}


def test_a_metric_that_no_case_has_is_none(tmp_path: Path) -> None:
    found = results(make_comparison(tmp_path))
    assert found["alone"]["hd95_mm"] is None
    row = found["methods"]["kd"]["comparisons"]["hd95_mm"]
    assert row["gain"] is None and row["p"] is None and "no case" in row["reasons"]["gain"]
    assert found["methods"]["kd"]["comparisons"]["hd95_px"]["gain"] > 0


def test_only_runs_that_both_arms_have_are_paired(tmp_path: Path) -> None:
    rows = arm("alone", [0.5, 0.5], seed=0) + arm("alone", [0.1, 0.1], seed=1) + arm("kd", [0.6, 0.6], seed=0)
    kd = results(write(tmp_path, rows))["methods"]["kd"]
    assert kd["gain"] == pytest.approx(0.1) and kd["compared_runs"] == 1 and kd["gain_sd"] is None


def test_no_gap_where_the_teacher_is_no_better_or_absent(tmp_path: Path) -> None:
    rows = arm("alone", [0.5, 0.6]) + arm("kd", [0.6, 0.7])
    kd = results(write(tmp_path, rows + arm("teacher", [0.4, 0.6])))["methods"]["kd"]
    assert kd["gap_closed"] is None and "no better" in kd["reasons"]["gap_closed"]
    kd = results(write(tmp_path, rows))["methods"]["kd"]
    assert kd["gap_closed"] is None and "not measured" in kd["reasons"]["gap_closed"]


def test_each_fold_is_paired_with_its_own_teacher(tmp_path: Path) -> None:
    rows = []
    for fold, lead in {"0": 0.1, "1": 0.3}.items():
        rows += arm("alone", [0.5, 0.5], fold=fold) + arm("kd", [0.55, 0.55], fold=fold)
        rows += arm("teacher", [0.5 + lead] * 2, fold=fold)
    kd = results(write(tmp_path, rows))["methods"]["kd"]
    assert kd["compared_runs"] == 2 and kd["gap_closed"] == pytest.approx(0.05 / 0.2)


def test_sites_and_classes_are_broken_down(tmp_path: Path) -> None:
    found = results(make_comparison(tmp_path, cases=14, sites=("a", "b"), classes=("liver", "spleen")))
    assert set(found["sites"]) == {"a", "b"} and set(found["classes"]) == {"liver", "spleen"}
    assert found["sites"]["a"]["cases"] == 7 and found["classes"]["liver"]["cases"] == 14
    assert found["sites"]["a"]["methods"]["lightvessel"]["gain"] == pytest.approx(0.03, abs=0.01)
    assert found["sites"]["a"]["methods"]["lightvessel"]["ci_low"] > 0
    assert "dice_liver" not in found["alone"]["metrics"]
    assert results(make_comparison(tmp_path / "one"))["sites"] == {}


def test_several_students_have_their_own_figures(tmp_path: Path) -> None:
    found = results(make_comparison(tmp_path, students=("thin_unet", "enet")))
    assert list(found["students"]) == ["thin_unet", "enet"]
    assert found["methods"] == found["students"]["thin_unet"]["methods"]
    assert found["students"]["enet"]["alone"]["params"] == 150_000
    assert found["students"]["enet"]["alone"]["dice"] != found["alone"]["dice"]


def test_failed_cells_and_costs_are_counted(tmp_path: Path) -> None:
    found = results(make_comparison(tmp_path, failed=["kd"], seeds=2))
    assert found["cells"] == {"finished": 6, "failed": 1}
    assert found["methods"]["kd"]["failed"] == 1 and found["methods"]["kd"]["compared_runs"] == 1
    assert found["methods"]["kd"]["seconds"] == 95.0 and found["teacher"]["params"] == 31_000_000


def test_a_folder_that_has_not_been_measured_has_no_figures(tmp_path: Path) -> None:
    found = results(make_comparison(tmp_path, measured=False))
    assert found["alone"]["cases"] == 0 and found["methods"]["kd"]["gain"] is None
    assert found["methods"]["kd"]["reasons"]["gain"] == "nothing has been measured yet"
    (tmp_path / "cells.json").unlink()
    assert results(tmp_path)["methods"] == {}


def test_strange_case_names_stay_text(tmp_path: Path) -> None:
    names = ["NA", "007", "null", "a,b", 'say "x"', "é<b>"]
    found = results(make_comparison(tmp_path, names=names, cases=6))
    assert found["alone"]["cases"] == 6 and found["methods"]["kd"]["compared_cases"] == 6


def test_folders_that_are_no_comparison_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no comparison\.json"):
        results(tmp_path)
    (tmp_path / "comparison.json").write_text('{"format": 99}')
    with pytest.raises(UserError, match="format 99"):
        results(tmp_path)
    (tmp_path / "comparison.json").write_text("{")
    with pytest.raises(UserError, match="no JSON"):
        results(tmp_path)
    make_comparison(tmp_path / "x")
    table = tmp_path / "x" / "cases.csv"
    text = table.read_text()
    table.write_text(text.replace("fold,", "part,", 1))
    with pytest.raises(UserError, match="no column fold"):
        results(tmp_path / "x")
    table.write_text(text + text.splitlines()[1] + "\n")
    with pytest.raises(UserError, match="twice"):
        results(tmp_path / "x")
    table.write_text(text.replace(",nan", ",what", 1))
    with pytest.raises(UserError, match="what"):
        results(tmp_path / "x")
