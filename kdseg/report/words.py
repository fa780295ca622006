"""Numbers and names as a reader sees them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = [
    "counted",
    "gain_with_interval",
    "interval",
    "large",
    "mean_with_spread",
    "metric_name",
    "number",
    "p_value",
    "share",
    "signed",
    "then_gain",
]

NONE = "–"
METRIC_NAMES = {
    "dice": "Dice",
    "iou": "IoU",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "cldice": "clDice",
    "auc": "AUC",
    "hd95_px": "HD95 (px)",
    "hd95_mm": "HD95 (mm)",
    "dice_transunet": "Dice (TransUNet's protocol)",
    "hd95_transunet": "HD95 (TransUNet's protocol)",
}


def metric_name(metric: str) -> str:
    """The name of a metric column in the literature.

    Example:
        >>> metric_name("hd95_px"), metric_name("surprise")
        ('HD95 (px)', 'surprise')
    """
    return METRIC_NAMES.get(metric, metric)


def number(value: float | None, metric: str = "") -> str:
    """Three decimals for shares, one for distances, a dash for none; the minus is a real one.

    Example:
        >>> number(0.70449), number(12.345, "hd95_px"), number(-0.5), number(None)
        ('0.704', '12.3', '−0.500', '–')
    """
    if value is None or math.isnan(value):
        return NONE
    text = f"{value:.{1 if metric.startswith(('hd95', 'assd')) else 3}f}"
    # a zero has no sign
    return (text if float(text) else text.removeprefix("-")).replace("-", "−")


def signed(value: float | None, metric: str = "") -> str:
    """The same with a plus before what is above zero.

    Example:
        >>> signed(0.0283), signed(-0.0283), signed(0.0001)
        ('+0.028', '−0.028', '0.000')
    """
    text = number(value, metric)
    return f"+{text}" if value is not None and value > 0 and text.strip("0.") else text


def interval(low: float | None, high: float | None, metric: str = "") -> str:
    """
    Example:
        >>> interval(-0.004, 0.012), interval(None, None)
        ('−0.004 to +0.012', '–')
    """
    return NONE if low is None else f"{signed(low, metric)} to {signed(high, metric)}"


def gain_with_interval(row: Mapping[str, Any], metric: str = "") -> str:
    """
    Example:
        >>> gain_with_interval({"gain": 0.02, "ci_low": 0.01, "ci_high": 0.03})
        '+0.020 (+0.010 to +0.030)'
    """
    gain = signed(row["gain"], metric)
    return gain if row["ci_low"] is None else f"{gain} ({interval(row['ci_low'], row['ci_high'], metric)})"


def then_gain(row: Mapping[str, Any], metric: str) -> str:
    """What follows a mean: the gain with its interval where it is known.

    Example:
        >>> then_gain({"gain": 0.02, "ci_low": None}, "dice"), then_gain({}, "dice")
        ('; +0.020', '')
    """
    return "" if row.get("gain") is None else f"; {gain_with_interval(row, metric)}"


def mean_with_spread(entry: Mapping[str, Any] | None, metric: str = "") -> str:
    """
    Example:
        >>> mean_with_spread({"mean": 0.7, "sd": 0.01}), mean_with_spread({"mean": 0.7, "sd": None})
        ('0.700 ± 0.010', '0.700')
    """
    if entry is None or entry["mean"] is None:
        return NONE
    spread = "" if entry["sd"] is None else f" ± {number(entry['sd'], metric)}"
    return number(entry["mean"], metric) + spread


def p_value(value: float | None) -> str:
    """
    Example:
        >>> p_value(0.0004), p_value(0.0312), p_value(None)
        ('< 0.001', '0.031', '–')
    """
    return NONE if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def share(row: Mapping[str, Any]) -> str:
    """The part of the gap that was closed, with its interval.

    Example:
        >>> share({"gap_closed": 0.46, "gap_closed_low": 0.38, "gap_closed_high": 0.55})
        '46 % (38 to 55 %)'
    """
    if row["gap_closed"] is None:
        return NONE
    part, low, high = (
        None if row[key] is None else _percent(row[key]) for key in ("gap_closed", "gap_closed_low", "gap_closed_high")
    )
    return f"{part} %" if low is None else f"{part} % ({low} to {high} %)"


def large(value: float | None) -> str:
    """A count with its unit prefix, three figures.

    Example:
        >>> large(58_557), large(31_000_000), large(54e9), large(640), large(None)
        ('58.6 k', '31.0 M', '54.0 G', '640', '–')
    """
    if value is None:
        return NONE
    for unit, size in {"T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3}.items():
        # what rounds up to the next unit belongs to it
        if value >= size * 0.9995:
            scaled = value / size
            return f"{scaled:.{0 if scaled >= 99.95 else 1 if scaled >= 9.995 else 2}f} {unit}"
    return f"{value:.3g}"


def counted(count: int, thing: str) -> str:
    """
    Example:
        >>> counted(1, "case"), counted(3, "case")
        ('1 case', '3 cases')
    """
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _percent(value: float) -> str:
    return str(round(100 * value)).replace("-", "−")
