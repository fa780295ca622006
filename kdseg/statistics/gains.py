"""Gains over the student alone, paired: the same fold, seed and case with and without distillation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from kdseg.statistics.comparison import is_lower_better
from kdseg.statistics.paired import crossed_mean, crossed_share, holm

__all__ = ["RUN", "gain_over_alone", "gains_over_alone", "nothing_known"]

RUN = ["fold", "seed"]
"""The columns that tell the runs of an arm apart."""

GAP = ("gap_closed", "gap_closed_low", "gap_closed_high")


def gains_over_alone(frame: pd.DataFrame, metric: str, arms: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Every arm against the student alone in one metric; the p-values are corrected for the number of arms."""
    rows = {arm: gain_over_alone(frame, metric, arm) for arm in arms}
    corrected = holm({arm: row["p_uncorrected"] for arm, row in rows.items()})
    return {arm: {**row, "p": corrected[arm]} for arm, row in rows.items()}


def gain_over_alone(frame: pd.DataFrame, metric: str, arm: str) -> dict[str, Any]:
    """What an arm gains in one metric; a positive gain is better, whatever the metric.

    Gains are averaged over the runs of each case, so that a case counts once; interval and p-value carry the spread
    between runs and between cases. A pair with a value that is undefined or infinite is left out and counted under
    ``left_out_pairs``.

    Args:
        frame: rows of one student and its teacher, with the columns of ``cases.csv``.
        metric: a column.
        arm: a value of the column "arm".

    Returns:
        ``gain``, its interval ``ci_low`` and ``ci_high``, ``p_uncorrected``, ``gap_closed`` and its interval, counts of
        cases and runs, and ``reasons`` for everything that is None.
    """
    pairs = _pairs(frame, metric, arm)
    usable = pairs[np.isfinite(pairs["gain"])]
    if usable.empty:
        return nothing_known("no case was measured both with and without distillation")
    found = crossed_mean(usable["gain"], *_labels(usable))
    by_case, by_run = (usable.groupby(keys)["gain"].mean() for keys in ("case", RUN))
    gap, gap_reasons = _gap(usable)
    reasons = {"interval": found.reason, **gap_reasons}
    return {
        "gain": found.mean,
        "ci_low": found.low,
        "ci_high": found.high,
        "p_uncorrected": found.p,
        **gap,
        "gain_sd": float(by_run.std(ddof=1)) if len(by_run) > 1 else None,
        "compared_cases": len(by_case),
        "better_cases": int((by_case > 0).sum()),
        "compared_runs": len(by_run),
        "better_runs": int((by_run > 0).sum()),
        "left_out_pairs": len(pairs) - len(usable),
        "reasons": {name: reason for name, reason in reasons.items() if reason},
    }


def nothing_known(reason: str) -> dict[str, Any]:
    """A comparison of which nothing can be said."""
    unknown = ["gain", "ci_low", "ci_high", "p", "p_uncorrected", *GAP, "gain_sd"]
    counts = ["compared_cases", "better_cases", "compared_runs", "better_runs", "left_out_pairs"]
    return {**dict.fromkeys(unknown), **dict.fromkeys(counts, 0), "reasons": {"gain": reason}}


def _pairs(frame: pd.DataFrame, metric: str, arm: str) -> pd.DataFrame:
    """Gain of the arm and lead of the teacher over the student alone, for each fold, seed and case of both."""
    keys = [*RUN, "case"]
    alone, distilled = (frame.loc[frame["arm"] == name, [*keys, metric]] for name in ("alone", arm))
    teacher = frame[frame["arm"] == "teacher"].groupby(["fold", "case"], as_index=False)[metric].mean()
    pairs = distilled.merge(alone, on=keys, suffixes=("", "_alone"))
    pairs = pairs.merge(teacher, on=["fold", "case"], how="left", suffixes=("", "_teacher"))
    sign = -1.0 if is_lower_better(metric) else 1.0
    # where both are infinite there is no difference
    with np.errstate(invalid="ignore"):
        pairs["gain"] = sign * (pairs[metric] - pairs[f"{metric}_alone"])
        pairs["lead"] = sign * (pairs[f"{metric}_teacher"] - pairs[f"{metric}_alone"])
    return pairs


def _labels(pairs: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """What tells trainings and cases apart."""
    return pairs["fold"] + "/" + pairs["seed"], pairs["case"]


def _gap(pairs: pd.DataFrame) -> tuple[dict[str, float | None], dict[str, str | None]]:
    """The share of the teacher's lead that the arm gained, or why there is none."""
    led = pairs[np.isfinite(pairs["lead"])]
    nothing: dict[str, float | None] = dict.fromkeys(GAP)
    if led.empty:
        return nothing, {"gap_closed": "the teacher was not measured on these cases"}
    if crossed_mean(led["lead"], *_labels(led)).mean <= 0:
        reason = "the teacher is no better than the student alone, so there is no gap to close"
        return nothing, {"gap_closed": reason}
    share = crossed_share(led["gain"], led["lead"], *_labels(led))
    return dict(zip(GAP, (share.mean, share.low, share.high), strict=True)), {"gap_closed_interval": share.reason}
