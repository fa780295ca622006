"""What is to be said of a method in plain words: what was gained, how sure that is, what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kdseg.report.words import counted, interval, large, metric_name, number, p_value, share, signed
from kdseg.statistics.paired import MINIMUM_RUNS

__all__ = ["HEADINGS", "SIGNIFICANT", "Verdict", "level_of", "verdict_of"]

SIGNIFICANT = 0.05
HEADINGS = {
    "gain": "A clear gain",
    "likely": "Probably a gain",
    "none": "No gain shown",
    "likely-loss": "Probably a loss",
    "loss": "A loss",
    "few": "Too few trainings to say",
    "little": "Too little to judge",
    "unknown": "Not measured",
}


@dataclass(frozen=True)
class Verdict:
    """Of one method, for any reader; the level is one of the keys of ``HEADINGS``."""

    method: str
    level: str
    heading: str
    gained: str
    sure: str
    cost: str


def level_of(row: Mapping[str, Any]) -> str:
    """A gain or loss is clear when its interval does not hold zero and the corrected p-value is below 0.05.

    There is no interval where there are too few trainings or cases, or where nothing differs.

    Example:
        >>> level_of({"gain": 0.02, "ci_low": 0.01, "ci_high": 0.03, "p": 0.01})
        'gain'
        >>> level_of({"gain": 0.02, "ci_low": -0.01, "ci_high": 0.05, "p": 0.2})
        'none'
    """
    if row["gain"] is None:
        return "unknown"
    if row["ci_low"] is None:
        return "few" if row["compared_runs"] < MINIMUM_RUNS else "little"
    sure = row["p"] is not None and row["p"] < SIGNIFICANT
    if row["ci_low"] > 0:
        return "gain" if sure else "likely"
    if row["ci_high"] < 0:
        return "loss" if sure else "likely-loss"
    return "none"


def verdict_of(
    method: str, row: Mapping[str, Any], alone: Mapping[str, Any], teacher: Mapping[str, Any], metric: str, methods: int
) -> Verdict:
    """The sentences on one method.

    Args:
        method: its name.
        row: of ``methods`` in the results.
        alone: of the same results.
        teacher: of the same results.
        metric: the key metric.
        methods: how many were compared, and so corrected for.
    """
    level = level_of(row)
    if level == "unknown":
        gained, sure = f"Nothing can be said: {row['reasons']['gain']}.", ""
    else:
        gained = f"{_gained(row, alone, metric)} {_gap(row)}"
        sure = " ".join(_how_sure(row, metric, methods, level))
    return Verdict(method, level, HEADINGS[level], gained, sure, " ".join(_costs(row, alone, teacher)))


def _gained(row: Mapping[str, Any], alone: Mapping[str, Any], metric: str) -> str:
    uneven = ""
    if row["compared_runs"] != alone["runs"]:
        pairs = f"{row['compared_runs']} of {counted(alone['runs'], 'run')}"
        uneven = f" (only {pairs} can be paired, so this is not the plain difference of the two means)"
    return (
        f"The small network's mean {metric_name(metric)} is {number(row[metric], metric)} with the teacher's help and "
        f"{number(alone[metric], metric)} without: {signed(row['gain'], metric)}, paired over "
        f"{counted(row['compared_cases'], 'test case')}, of which {row['better_cases']} became better{uneven}."
    )


def _how_sure(row: Mapping[str, Any], metric: str, methods: int, level: str) -> list[str]:
    bounds = f"The 95 % interval, {interval(row['ci_low'], row['ci_high'], metric)},"
    test = f"p = {p_value(row['p'])}".replace("= <", "<")
    test += f", corrected for {counted(methods, 'method')}" if methods > 1 else ""
    sentences = {
        "gain": f"{bounds} lies above zero, and chance alone hardly makes such a difference ({test}).",
        "likely": f"{bounds} lies above zero, but the test is not convinced ({test}).",
        "none": f"{bounds} holds zero: this may be chance ({test}).",
        "likely-loss": f"{bounds} lies below zero, but the test is not convinced ({test}).",
        "loss": f"{bounds} lies below zero: the method did harm here ({test}).",
    }
    said = [sentences.get(level, f"No interval can be given: {row['reasons'].get('interval')}.")]
    runs, better = row["compared_runs"], row["better_runs"]
    if runs > 1:
        said.append(f"Of {runs} training runs, each paired with its own of the student alone, {better} gained.")
    if row["left_out_pairs"]:
        pairs = counted(row["left_out_pairs"], "pair")
        said.append(f"{pairs} of values with an undefined or infinite one were left out.")
    return said


def _gap(row: Mapping[str, Any]) -> str:
    if row["gap_closed"] is None:
        return f"The share of the teacher's lead cannot be given: {row['reasons']['gap_closed']}."
    if row["gap_closed"] <= 0:
        return "None of the teacher's lead was gained."
    doubt = row["reasons"].get("gap_closed_interval")
    # said once is enough
    doubt = None if doubt == row["reasons"].get("interval") else doubt
    text = f"That is {share(row)} of the teacher's lead over the student alone"
    return f"{text}; no interval, because of this: {doubt}." if doubt else f"{text}."


def _costs(row: Mapping[str, Any], alone: Mapping[str, Any], teacher: Mapping[str, Any]) -> list[str]:
    sentences = []
    if row["params"] is not None:
        same = row["params"] == alone.get("params")
        text = f"In use it costs {'as much as the student alone' if same else 'more or less than the student alone'}: "
        text += _size(row)
        sentences.append(f"{text}; the teacher has {_size(teacher)}." if teacher.get("params") else f"{text}.")
    if row["seconds"] and alone.get("seconds"):
        times = row["seconds"] / alone["seconds"]
        sentences.append(f"Its training took {times:.1f} times as long as that of the student alone.")
    return sentences


def _size(network: Mapping[str, Any]) -> str:
    milliseconds = network.get("ms_per_image")
    speed = "" if milliseconds is None else f" and takes {large(milliseconds)} ms an image"
    return f"{large(network['params'])} parameters{speed}"
