"""The charts of a comparison: SVG by matplotlib, in the colours of the page, light or dark."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
from markupsafe import Markup, escape

from kdseg.report.tables import arms_of
from kdseg.report.verdict import level_of
from kdseg.report.words import gain_with_interval, large, metric_name, number
from kdseg.statistics.comparison import is_lower_better

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["box_plot", "curve_chart", "few_labels_chart", "forest_plot", "frontier_plot"]

# as style.css has them for light pages; in the SVG each becomes its variable, which a dark page changes
COLOURS = {
    "ink": "#18202c",
    "soft": "#586374",
    "line": "#dde2e9",
    "teacher": "#9a5b00",
    "alone": "#667085",
    "distilled": "#0b6fb8",
    "gain": "#0b7a4b",
    "likely": "#5b53a8",
    "loss": "#b93a10",
}
# a verdict's colour; what shows nothing has that of the student alone
LEVELS = {"gain": "gain", "likely": "likely", "likely-loss": "likely", "loss": "loss"}
STYLE: Any = {
    "svg.fonttype": "none",
    "font.sans-serif": ["DejaVu Sans"],
    # names are text, whatever is in them
    "text.parse_math": False,
    "text.color": COLOURS["ink"],
    "xtick.color": COLOURS["soft"],
    "ytick.color": COLOURS["soft"],
    "axes.labelcolor": COLOURS["soft"],
    "axes.edgecolor": COLOURS["soft"],
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": COLOURS["line"],
}
LONGEST_LABEL = 26
# learning curves in a row, and from which ratio on their axis is logarithmic
ACROSS, STEEP = 3, 50
VALIDATION, TRAINING = "validation/", "train/"
_numbers = itertools.count(1)


def forest_plot(methods: Mapping[str, Mapping[str, Any]], lead: float | None, metric: str) -> Markup:
    """A row a method, the largest gain on top: the gain, its interval, and a dashed line where the teacher is.

    Args:
        methods: of the results.
        lead: of the teacher over the student alone, signed so that positive is better; None where it is unknown.
        metric: the key metric.
    """
    known = [(name, row) for name, row in methods.items() if row["gain"] is not None]
    ranked = sorted(known, key=lambda entry: entry[1]["gain"])

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.axvline(0, color=COLOURS["alone"], label="student alone")
        if lead is not None:
            axes.axvline(lead, color=COLOURS["teacher"], linestyle="--", label="teacher")
        for place, (_, row) in enumerate(ranked):
            colour = COLOURS[LEVELS.get(level_of(row), "alone")]
            if row["ci_low"] is not None:
                axes.plot([row["ci_low"], row["ci_high"]], [place, place], color=colour, marker="|")
            axes.plot(row["gain"], place, "o", color=colour)
            axes.text(1.02, place, gain_with_interval(row, metric), va="center", transform=axes.get_yaxis_transform())
        axes.set_yticks(range(len(ranked)), [_shortened(name) for name, _ in ranked])
        axes.set_xlabel(f"gain in {metric_name(metric)}; right is better")
        figure.legend(loc="outside upper left", ncols=2, frameon=False)

    words = "; ".join(f"{name} {gain_with_interval(row, metric)}" for name, row in reversed(ranked))
    return _chart(draw, (9.6, 1.2 + 0.3 * len(ranked)), f"Gain in {metric_name(metric)} over the student alone", words)


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
    points: dict[str, tuple[str, float, float, bool]] = {}
    for student, found in students.items():
        arms = {name: arm for name, arm in arms_of(found).items() if arm.get(cost) and arm.get(metric) is not None}
        ranked = sorted(set(arms) & set(found["methods"]), key=lambda name: arms[name][metric])
        # of the methods the best alone is named: more names would lie on each other
        named = {"teacher", "alone", *(ranked[:1] if is_lower_better(metric) else ranked[-1:])}
        for name, arm in arms.items():
            title = name if name == "teacher" else f"{student}, {name}"
            points[title] = (_kind(name), arm[cost], arm[metric], name in named)
    if len(points) < 2:
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        _logarithmic(axes, "x")
        for title, (kind, x, y, named) in points.items():
            axes.plot(x, y, "D" if kind == "teacher" else "o", color=COLOURS[kind])
            if named:
                shift = (0, -15 if kind == "alone" else 7)
                axes.annotate(_shortened(title), (x, y), shift, textcoords="offset points", ha="center")
        axes.margins(0.25, 0.2)
        axes.set_xlabel(axis)
        axes.set_ylabel(metric_name(metric))

    words = "; ".join(f"{title}: {large(x)}, {number(y, metric)}" for title, (_, x, y, _) in points.items())
    return _chart(draw, (4.8, 3.3), f"{metric_name(metric)} against {axis}", words)


def box_plot(values: pd.DataFrame, metric: str, title: str, ends: tuple[float, float]) -> Markup:
    """A row a network: quartiles, median, whiskers to the last case within 1.5 quartile ranges, a dot for each case.

    Args:
        values: one row a case, one column an arm.
        metric: what they are.
        title: for those who cannot see it.
        ends: of the axis; charts that are to be compared have the same.
    """
    columns = {str(arm): values[arm].dropna() for arm in reversed(values.columns) if values[arm].notna().any()}

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, (arm, column) in enumerate(columns.items()):
            colour = COLOURS[_kind(arm)]
            lines: Any = {name: {"color": colour} for name in ("boxprops", "whiskerprops", "capprops", "medianprops")}
            axes.boxplot(column, orientation="horizontal", positions=[place], widths=0.6, showfliers=False, **lines)
            axes.plot(column, [place] * len(column), ".", color=colour, alpha=0.6)
        axes.set_yticks(range(len(columns)), [_shortened(arm) for arm in columns])
        room = 0.03 * (ends[1] - ends[0]) or 0.01
        axes.set_xlim(ends[0] - room, ends[1] + room)
        axes.set_xlabel(metric_name(metric))

    medians = [f"{arm} median {number(float(column.median()), metric)}" for arm, column in columns.items()]
    return _chart(draw, (9.6, 0.7 + 0.32 * len(columns)), title, "; ".join(reversed(medians)))


def curve_chart(method: str, histories: Mapping[str, Sequence[pd.DataFrame]]) -> Markup | None:
    """Validation and every term of the loss of a method by epoch: the mean over runs, thick, and each run, thin.

    Where the student alone has a curve of that name it stands beside the method's, in the validation the teacher's too.

    Args:
        method: name of the arm.
        histories: arm → learning curves of its runs; columns epoch, step, name, value. Of "teacher", "alone" and the
            method.
    """
    names = dict.fromkeys(name for history in histories[method] for name in history["name"])
    # a learning rate is a choice and no result
    shown = [name for name in names if name.startswith((VALIDATION, TRAINING)) and name != "train/learning_rate"]
    shown.sort(key=lambda name: not name.startswith(VALIDATION))
    curves: dict[str, dict[str, list[pd.Series]]] = {}
    for name in shown:
        arms = ["teacher", "alone", method] if name.startswith(VALIDATION) else ["alone", method]
        runs = {arm: [_finite(history, name) for history in histories[arm]] for arm in arms}
        curves[name] = {arm: [run for run in found if len(run)] for arm, found in runs.items() if any(map(len, found))}
    if not curves:
        return None
    rows = -(-len(curves) // ACROSS)

    def draw(figure: Figure) -> None:
        places = figure.subplots(rows, ACROSS, squeeze=False).flat
        for (name, arms), axes in zip(curves.items(), places, strict=False):
            axes.set_title(_term(name), fontsize=10)
            for arm, runs in arms.items():
                for run in runs:
                    axes.plot(run.index, run, color=COLOURS[_kind(arm)], alpha=0.25, linewidth=1)
                axes.plot(_mean(runs), color=COLOURS[_kind(arm)], marker="" if len(_mean(runs)) > 1 else "o")
            low, high = axes.dataLim.intervaly
            if name.startswith(TRAINING) and low > 0 and high / low > STEEP:
                _logarithmic(axes, "y")
            axes.set_xlabel("epoch")
        for axes in places:
            axes.set_axis_off()

    ends = [
        f"{_term(name)}, {arm} ends at {_mean(runs).iloc[-1]:.4g}"
        for name, arms in curves.items()
        for arm, runs in arms.items()
    ]
    return _chart(draw, (9.6, 2.3 * rows), f"{method}: learning curves", "; ".join(ends))


def few_labels_chart(student: str, parts: Mapping[str, Mapping[str, Any]], metric: str) -> Markup:
    """A line a network over the number of labelled patients; dashed where unlabelled images joined the training.

    Args:
        student: name.
        parts: number of labelled patients → results.
        metric: the key metric.
    """
    arms = dict.fromkeys(arm for part in parts.values() for arm in arms_of(part))
    values = {arm: {count: arms_of(part).get(arm, {}).get(metric) for count, part in parts.items()} for arm in arms}
    lines = {arm: {count: y for count, y in line.items() if y is not None} for arm, line in values.items()}

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for arm, line in lines.items():
            style = "--" if "+unlabelled" in arm else "-"
            axes.plot(list(line), list(line.values()), style, marker="o", label=_shortened(arm), color=COLOURS.get(arm))
        axes.set_xlabel("labelled patients")
        axes.set_ylabel(metric_name(metric))
        figure.legend(loc="outside right upper", frameon=False)

    words = [f"{arm}: {', '.join(number(value, metric) for value in line.values())}" for arm, line in lines.items()]
    title = f"{metric_name(metric)} of {student} by number of labelled patients"
    return _chart(draw, (9.6, 3.5), title, "; ".join(words))


def _chart(draw: Callable[[Figure], None], size: tuple[float, float], title: str, words: str) -> Markup:
    """What is drawn, as an element of the page; title and words are for those who cannot see it."""
    import matplotlib
    from matplotlib.figure import Figure

    stream = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure = Figure(size, layout="constrained")
        draw(figure)
        figure.savefig(stream, format="svg", transparent=True)
    body = stream.getvalue().partition("<svg")[2].partition(">")[2]
    # what is not drawn names other sites, and its style would be the whole page's
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"\s+", " ", re.sub(r"(\d\.\d\d)\d{3,}", r"\1", body))
    # the charts of a page must not share their names
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\1chart{next(_numbers)}-", body.replace("xlink:", ""))
    for name, colour in COLOURS.items():
        body = body.replace(colour, f"var(--{name})")
    width, height = (72 * length for length in size)
    head = (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(f"{title}: {words}")}" class="chart">'
    )
    return Markup(head + body)


def _logarithmic(axes: Axes, which: Literal["x", "y"]) -> None:
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    axes.set(**{f"{which}scale": "log"})
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(EngFormatter() if which == "x" else "{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _kind(arm: str) -> str:
    return arm if arm in ("teacher", "alone") else "distilled"


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_LABEL else name[: LONGEST_LABEL - 1] + "…"


def _term(name: str) -> str:
    return name.removeprefix(TRAINING).replace("/", ": ")


def _finite(history: pd.DataFrame, name: str) -> pd.Series:
    """The finite values of a curve by epoch."""
    run = history[history["name"] == name].set_index("epoch")["value"].astype(float)
    return run[run.abs() < float("inf")]


def _mean(runs: Sequence[pd.Series]) -> pd.Series:
    return pd.concat(runs).groupby(level=0).mean()
