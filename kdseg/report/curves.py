"""Learning curves: validation and every term of the loss, a small chart each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from markupsafe import Markup

from kdseg.report.svg import Sheet, linear_scale, linear_ticks, log_scale, log_ticks

__all__ = ["curve_charts"]

WIDTH, HEIGHT, LEFT = 330.0, 210.0, 52.0
VALIDATION, TRAINING = "validation/", "train/"
# a choice, not a result
SETTINGS = ("train/learning_rate",)


def curve_charts(method: str, histories: Mapping[str, Sequence[pd.DataFrame]]) -> list[Markup]:
    """One chart for each name in the histories of a method: the mean over runs, thick, and each run, thin.

    Validation comes first. Where the student alone has a curve of that name it stands beside the method's, in the
    validation the teacher's too.

    Args:
        method: name of the arm.
        histories: arm → learning curves of its runs; columns epoch, step, name, value. Of "teacher", "alone" and the
            method.
    """
    names = dict.fromkeys(name for history in histories.get(method, ()) for name in history["name"])
    shown = [name for name in names if name.startswith((VALIDATION, TRAINING)) and name not in SETTINGS]
    return [_chart(name, method, histories) for name in sorted(shown, key=lambda name: not name.startswith(VALIDATION))]


def _chart(name: str, method: str, histories: Mapping[str, Sequence[pd.DataFrame]]) -> Markup:
    beside = ["teacher", "alone"] if name.startswith(VALIDATION) else ["alone"]
    curves = {arm: _curves(histories.get(arm, ()), name) for arm in [*beside, method]}
    curves = {arm: runs for arm, runs in curves.items() if runs}
    values = pd.concat([run for runs in curves.values() for run in runs])
    low, high, last = float(values.min()), float(values.max()), float(values.index.max())
    steep = low > 0 and high / low > 50
    low, high = (low, high * 1.05) if steep else (low - 0.05 * (high - low), high + 0.05 * (high - low) or low + 1.0)
    up = (log_scale if steep else linear_scale)(low, high, HEIGHT - 40, 30.0)
    across = linear_scale(float(values.index.min()), last, LEFT, WIDTH - 12)
    ends = "; ".join(f"{arm} ends at {_mean(runs).iloc[-1]:.4g}" for arm, runs in curves.items())
    title = name.removeprefix(TRAINING).replace("/", ": ")
    sheet = Sheet(WIDTH, HEIGHT, f"{method}: {title} by epoch", ends)
    sheet.text(LEFT, 16, title + (" (logarithmic)" if steep else ""), "label")
    for tick in log_ticks(low, high) if steep else linear_ticks(low, high, 4):
        sheet.line(LEFT, up(tick), WIDTH - 12, up(tick), "grid")
        sheet.text(LEFT - 6, up(tick) + 4, f"{tick:.4g}", "tick", "end")
    for tick in linear_ticks(float(values.index.min()), last, 5):
        if tick == int(tick):
            sheet.text(across(tick), HEIGHT - 24, f"{tick:.0f}", "tick", "middle")
    for arm, runs in curves.items():
        kind = arm if arm in ("teacher", "alone") else "distilled"
        for run in runs if len(runs) > 1 else ():
            sheet.path([(across(epoch), up(value)) for epoch, value in run.items()], f"run {kind}")
        points = [(across(epoch), up(value)) for epoch, value in _mean(runs).items()]
        sheet.path(points, f"curve {kind}", f"{arm}, mean of {len(runs)}")
        if len(points) == 1:
            sheet.circle(*points[0], 4.0, f"mark {kind}", arm)
    sheet.text((LEFT + WIDTH) / 2, HEIGHT - 6, "epoch", "axis", "middle")
    return sheet.markup


def _curves(histories: Sequence[pd.DataFrame], name: str) -> list[pd.Series]:
    """The finite values by epoch of each run that has them."""
    runs = [history[history["name"] == name].set_index("epoch")["value"].astype(float) for history in histories]
    finite = [run[run.abs() < float("inf")] for run in runs]
    return [run for run in finite if len(run)]


def _mean(runs: Sequence[pd.Series]) -> pd.Series:
    return pd.concat(runs).groupby(level=0).mean()
