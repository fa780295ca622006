"""Puts the page together: what the template shows, and in which words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kdseg.report.case_panels import COLOURS, OTHER_CLASS, case_panels
from kdseg.report.charts import box_plot, curve_chart, few_labels_chart, forest_plot, frontier_plot
from kdseg.report.details import case_table, runs_table, settings_table, standing_table
from kdseg.report.few_labels import Parts, few_labels_table
from kdseg.report.tables import arms_of, result_tables
from kdseg.report.verdict import HEADINGS, level_of, verdict_of
from kdseg.report.words import counted, gain_with_interval, large, metric_name, number
from kdseg.statistics.comparison import Comparison, is_lower_better
from kdseg.statistics.results import case_values, of_students

__all__ = ["render_page"]


def render_page(
    comparison: Comparison,
    found: Mapping[str, Any],
    students: Mapping[str, Mapping[str, Any]],
    labels: Mapping[str, Parts],
) -> str:
    """The page of a comparison.

    Args:
        comparison: the folder.
        found: its results.
        students: the results of each student by name.
        labels: see :func:`kdseg.report.few_labels.few_labels`.
    """
    environment = Environment(
        loader=PackageLoader("kdseg.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    metric = comparison.key_metric
    colours = {"found": "found", "missed": "missed", "false": "marked where there is nothing"}
    legend = [(_css(COLOURS[name]), text) for name, text in colours.items()]
    return environment.get_template("report.html").render(
        title=f"What did distillation buy? {comparison.settings.get('bundle', '')}".strip(),
        bundle=comparison.settings.get("bundle", comparison.out.name),
        metric=metric_name(metric),
        notices=list(_notices(comparison, found)),
        blocks=[_student_block(comparison, name, entry, labels.get(name)) for name, entry in students.items()],
        frontiers=[
            (title, chart)
            for title, key, axis in (
                ("Against milliseconds per image", "ms_per_image", "milliseconds per image"),
                ("Against parameters", "params", "parameters"),
            )
            if (chart := frontier_plot(students, key, axis, metric)) is not None
        ],
        legend=[*legend, (_css(OTHER_CLASS), "taken for another class")] if comparison.classes else legend,
        standing=standing_table(comparison),
        runs=runs_table(comparison),
        failures=[cell for cell in comparison.cells if cell["state"] == "failed"],
        settings=settings_table(comparison),
        command=comparison.settings.get("command"),
        test_read=comparison.settings.get("test_split_read", []),
    )


def _student_block(
    comparison: Comparison, student: str, found: Mapping[str, Any], labels: Parts | None
) -> dict[str, Any]:
    """Everything of one student."""
    metric, methods = comparison.key_metric, found["methods"]
    ranked = sorted(methods, key=lambda name: -(methods[name]["gain"] if methods[name]["gain"] is not None else -1e9))
    best = ranked[0] if ranked and methods[ranked[0]]["gain"] is not None else None
    measured = comparison.metrics and found["alone"]["cases"] > 0
    return {
        "name": student,
        "answer": _answer(student, found, best, metric),
        "tiles": _tiles(found, best, metric),
        "verdicts": [
            verdict_of(name, methods[name], found["alone"], found["teacher"], metric, len(methods)) for name in ranked
        ],
        "tables": result_tables(student, found, metric),
        "forest": forest_plot(methods, _lead(found, metric), metric) if best else None,
        "boxes": list(_boxes(comparison, student)) if measured else [],
        "cases": case_table(comparison, student) if measured else None,
        "few_labels": None
        if labels is None
        else (few_labels_chart(student, labels, metric), few_labels_table(student, labels, metric)),
        "pictures": case_panels(comparison, student, best) if best else [],
        "best": best,
        "curves": [(name, chart) for name in ranked if (chart := _curves(comparison, student, name)) is not None],
    }


def _lead(found: Mapping[str, Any], metric: str) -> float | None:
    teacher, alone = found["teacher"].get(metric), found["alone"].get(metric)
    if teacher is None or alone is None:
        return None
    return (alone - teacher) if is_lower_better(metric) else (teacher - alone)


def _answer(student: str, found: Mapping[str, Any], best: str | None, metric: str) -> str:
    """The answer in two sentences."""
    methods = found["methods"]
    if best is None:
        return f"Nothing can be said of {student} yet: no test case has been measured with and without distillation."
    row, alone, teacher = methods[best], found["alone"], found["teacher"]
    clear = sum(level_of(entry) == "gain" for entry in methods.values())
    first = (
        f"Trained alone, {student} reaches a {metric_name(metric)} of {number(alone[metric], metric)}"
        + (f", its teacher {number(teacher[metric], metric)}" if teacher.get(metric) is not None else "")
        + f". With {best}{', the best of ' + counted(len(methods), 'method') if len(methods) > 1 else ''}, it reaches "
        f"{number(row[metric], metric)}: {gain_with_interval(row, metric)}."
    )
    if len(methods) == 1 or row["ci_low"] is None:
        return f"{first} {HEADINGS[level_of(row)]}."
    many = f"{clear or 'None'} of {'' if clear else 'the '}{counted(len(methods), 'method')}"
    return f"{first} {many} {'show' if clear > 1 else 'shows'} a clear gain."


def _tiles(found: Mapping[str, Any], best: str | None, metric: str) -> list[tuple[str, str, str]]:
    arms = {"Teacher": found["teacher"], "Student alone": found["alone"]}
    arms |= {f"Student with {best}": found["methods"][best]} if best else {}
    tiles = []
    for title, arm in arms.items():
        speed = "" if arm["ms_per_image"] is None else f" · {large(arm['ms_per_image'])} ms an image"
        size = "" if arm["params"] is None else f"{large(arm['params'])} parameters{speed}"
        tiles.append((title, number(arm.get(metric), metric), size))
    return tiles


def _boxes(comparison: Comparison, student: str) -> Iterator[tuple[str, Markup]]:
    """All cases, then each class, then each site."""
    metric = comparison.key_metric
    values = case_values(comparison, student, metric)
    if values.empty:
        return
    ends = (float(values.min().min()), float(values.max().max()))
    yield "All cases", box_plot(values, metric, f"{metric_name(metric)} of all cases", ends)
    for label in comparison.classes:
        column = f"{metric}_{label}"
        if column in comparison.cases.columns:
            of_class = case_values(comparison, student, column)
            own_ends = (float(of_class.min().min()), float(of_class.max().max()))
            yield f"Class: {label}", box_plot(of_class, metric, f"{metric_name(metric)} of {label}", own_ends)
    site_of = comparison.cases.drop_duplicates("case").set_index("case")["site"]
    sites = sorted(set(site_of) - {""})
    for site in sites if len(sites) > 1 else ():
        of_site = values[values.index.map(site_of) == site]
        yield f"Site: {site}", box_plot(of_site, metric, f"{metric_name(metric)} at {site}", ends)


def _curves(comparison: Comparison, student: str, method: str) -> Markup | None:
    return curve_chart(method, {arm: list(comparison.histories(arm, student)) for arm in ("teacher", "alone", method)})


def _notices(comparison: Comparison, found: Mapping[str, Any]) -> Iterator[str]:
    states = found["cells"]
    if states.get("failed"):
        yield f"{counted(states['failed'], 'training')} failed and left no results; see “Trainings”."
    waiting = sum(count for state, count in states.items() if state not in ("finished", "failed"))
    if waiting:
        yield f"{counted(waiting, 'training')} still to be done: this report is of a comparison that is not finished."
    rising = [
        {"alone": "the student alone"}.get(arm, arm)
        for entry in of_students(comparison, found).values()
        for arm, of_arm in arms_of(entry).items()
        if of_arm["patience"]["has_stopped"] is False
    ]
    if rising:
        names = ", ".join(dict.fromkeys(rising))
        yield f"Still improving when the training ended: {names}. Longer trainings may change what is said here."
    if comparison.cases.empty:
        yield "The test cases have not been measured yet, so there are no results, only learning curves and costs."


def _css(colour: tuple[int, int, int]) -> str:
    return f"rgb({', '.join(map(str, colour))})"
