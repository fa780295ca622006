"""The charts of results: gains with their intervals, accuracy against cost, the spread over cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from kdseg.report.svg import Sheet, apart, linear_scale, linear_ticks, log_scale, log_ticks
from kdseg.report.verdict import level_of
from kdseg.report.words import gain_with_interval, large, metric_name, number, p_value, signed
from kdseg.statistics.comparison import is_lower_better

__all__ = ["box_plot", "forest_plot", "frontier_plot", "label_width", "shortened"]

ROW = 28.0
LONGEST_LABEL = 26


def forest_plot(methods: Mapping[str, Mapping[str, Any]], lead: float | None, metric: str) -> Markup:
    """A row a method, the largest gain on top: the gain, its interval, and a dashed line where the teacher is.

    Args:
        methods: of the results.
        lead: of the teacher over the student alone, signed so that positive is better; None where it is unknown.
        metric: the key metric.
    """
    known = {name: row for name, row in methods.items() if row["gain"] is not None}
    ranked = sorted(known.items(), key=lambda item: -item[1]["gain"])
    values = [0.0, *(value for _, row in ranked for value in (row["gain"], row["ci_low"], row["ci_high"]) if value)]
    values += [lead] if lead is not None else []
    low, high = _padded(min(values), max(values))
    left, right, width = label_width(known), 740.0, 960.0
    bottom = 34 + ROW * len(ranked)
    place = linear_scale(low, high, left, right)
    sheet = Sheet(
        width,
        bottom + 46,
        f"Gain in {metric_name(metric)} over the student alone",
        "; ".join(f"{name} {gain_with_interval(row, metric)}" for name, row in ranked),
    )
    for tick in linear_ticks(low, high, 8):
        sheet.line(place(tick), 26, place(tick), bottom, "grid")
        sheet.text(place(tick), bottom + 16, signed(tick, metric), "tick", "middle")
    sheet.line(place(0), 20, place(0), bottom, "zero")
    sheet.text(place(0), 14, "student alone", "tick", "middle")
    if lead is not None and abs(place(lead) - place(0)) > 70:
        sheet.line(place(lead), 20, place(lead), bottom, "teacher-line")
        sheet.text(place(lead), 14, "teacher", "tick", "middle")
    for index, (name, row) in enumerate(ranked):
        y, level = 26 + ROW * (index + 0.5), level_of(row)
        hint = f"{name}: {gain_with_interval(row, metric)}, p {p_value(row['p'])}"
        sheet.text(left - 12, y + 4, shortened(name), "label", "end")
        if row["ci_low"] is not None:
            sheet.line(place(row["ci_low"]), y, place(row["ci_high"]), y, f"whisker {level}")
            for end in (row["ci_low"], row["ci_high"]):
                sheet.line(place(end), y - 4, place(end), y + 4, f"whisker {level}")
        sheet.circle(place(row["gain"]), y, 5.5, f"mark {level}", hint)
        sheet.text(right + 16, y + 4, gain_with_interval(row, metric), "value")
    sheet.text((left + right) / 2, bottom + 38, f"gain in {metric_name(metric)}; right is better", "axis", "middle")
    return sheet.markup


def frontier_plot(students: Mapping[str, Mapping[str, Any]], cost: str, axis: str, metric: str) -> Markup | None:
    """Mean accuracy against a cost on a logarithmic axis: teacher, students alone, students distilled.

    Args:
        students: name → results of that student.
        cost: a key of the arms, such as "params".
        axis: the title of the axis.
        metric: the key metric.

    Returns:
        The chart, or None where the costs are not known.
    """
    points: list[tuple[str, str, float, float]] = []
    for student, found in students.items():
        arms = {"teacher": found["teacher"]} if not points else {}
        arms |= {"alone": found["alone"], **found["methods"]}
        for name, arm in arms.items():
            if arm.get(cost) and arm.get(metric) is not None:
                title = name if name == "teacher" else f"{student}, {name}"
                points.append((title, name if name in ("teacher", "alone") else "distilled", arm[cost], arm[metric]))
    if len(points) < 2:
        return None
    costs, values = [point[2] for point in points], [point[3] for point in points]
    first, last = min(costs) / 1.9, max(costs) * 1.9
    low, high = _padded(min(values), max(values), 0.12)
    width, height, left, top = 460.0, 320.0, 56.0, 16.0
    across = log_scale(first, last, left, width - 12)
    up = linear_scale(low, high, height - 48, top)
    sheet = Sheet(
        width,
        height,
        f"{metric_name(metric)} against {axis}",
        "; ".join(f"{name}: {large(x)}, {number(y, metric)}" for name, _, x, y in points),
    )
    for tick in linear_ticks(low, high):
        sheet.line(left, up(tick), width - 12, up(tick), "grid")
        sheet.text(left - 8, up(tick) + 4, number(tick, metric), "tick", "end")
    for tick in log_ticks(first, last):
        sheet.line(across(tick), height - 48, across(tick), height - 43, "zero")
        sheet.text(across(tick), height - 29, large(tick).replace(".00", "").replace(".0", ""), "tick", "middle")
    sheet.line(left, height - 48, width - 12, height - 48, "zero")
    for title, kind, x, y in sorted(points, key=lambda point: point[1] == "distilled"):
        hint = f"{title}: {metric_name(metric)} {number(y, metric)} at {large(x)} {axis}"
        draw = sheet.diamond if kind == "teacher" else sheet.circle
        draw(across(x), up(y), 7.0 if kind == "teacher" else 5.0, f"mark {kind}", hint)
    labelled = _to_label(points, metric)
    for (title, _, x, _), place in zip(labelled, apart([up(y) for *_, y in labelled]), strict=True):
        shift, anchor = (11, "start") if across(x) < width * 0.6 else (-11, "end")
        sheet.text(across(x) + shift, place + 4, shortened(title), "label", anchor)
    sheet.text((left + width) / 2, height - 8, axis, "axis", "middle")
    return sheet.markup


def box_plot(values: pd.DataFrame, metric: str, title: str, ends: tuple[float, float]) -> Markup:
    """A row a network: quartiles, median, whiskers to the last case within 1.5 quartile ranges, a dot for each case.

    Args:
        values: one row a case, one column an arm.
        metric: what they are.
        title: for those who cannot see it.
        ends: of the axis; charts that are to be compared have the same.
    """
    arms = [arm for arm in values.columns if values[arm].notna().any()]
    low, high = _padded(*ends)
    left, width = label_width(arms), 960.0
    bottom = 8 + ROW * len(arms)
    place = linear_scale(low, high, left, width - 16)
    medians = "; ".join(f"{arm} median {number(values[arm].median(), metric)}" for arm in arms)
    sheet = Sheet(width, bottom + 44, title, medians)
    for tick in linear_ticks(low, high, 7):
        sheet.line(place(tick), 4, place(tick), bottom, "grid")
        sheet.text(place(tick), bottom + 16, number(tick, metric), "tick", "middle")
    for index, arm in enumerate(arms):
        column = values[arm].dropna()
        kind = arm if arm in ("teacher", "alone") else "distilled"
        y = 8 + ROW * (index + 0.5)
        first, middle, third = np.quantile(column, [0.25, 0.5, 0.75])
        reach = 1.5 * (third - first)
        inside = column[(column >= first - reach) & (column <= third + reach)]
        sheet.text(left - 12, y + 4, shortened(arm), "label", "end")
        sheet.line(place(inside.min()), y, place(inside.max()), y, f"whisker {kind}")
        hint = f"{arm}: median {number(middle, metric)}, quartiles {number(first, metric)} and {number(third, metric)}"
        sheet.rectangle(place(first), y - 8, place(third) - place(first), 16, f"box {kind}", hint)
        for case, value in column.items():
            sheet.circle(place(value), y, 2.6, f"dot {kind}", f"{case}: {number(value, metric)}")
        sheet.line(place(middle), y - 8, place(middle), y + 8, f"median {kind}")
    sheet.text((left + width) / 2, bottom + 36, metric_name(metric), "axis", "middle")
    return sheet.markup


def shortened(name: str) -> str:
    """A name that fits beside a chart."""
    return name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"


def label_width(names: Sequence[str] | Mapping[str, Any]) -> float:
    """Room for the longest of the names, in units of the sheet."""
    return 30 + 8.0 * max((len(shortened(name)) for name in names), default=0)


def _padded(low: float, high: float, part: float = 0.06) -> tuple[float, float]:
    room = (high - low) * part or max(abs(high), 1e-3) * part
    return low - room, high + room


def _to_label(points: Sequence[tuple[str, str, float, float]], metric: str) -> list[tuple[str, str, float, float]]:
    """Teacher, students alone, and at each cost the best of the distilled: more names would lie on each other."""
    best: dict[float, tuple[str, str, float, float]] = {}
    sign = -1.0 if is_lower_better(metric) else 1.0
    for point in points:
        if point[1] == "distilled" and (point[2] not in best or sign * point[3] > sign * best[point[2]][3]):
            best[point[2]] = point
    return [*(point for point in points if point[1] != "distilled"), *best.values()]
