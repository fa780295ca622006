"""A comparison in MLflow: one run for the whole, a nested run for each cell, the best student registered."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from kdseg.compare.plan import Cell
from kdseg.compare.request import ALONE, TEACHER
from kdseg.handlers.mlflow_run import MlflowRun
from kdseg.handlers.provenance import environment
from kdseg.task import open_trained

__all__ = ["record"]

FILES = ("report.html", "results.json", "cases.csv", "cells.json", "comparison.json", "tables.csv", "tables.md")
STUDENT = ("task.json", "model.pt", "history.json")


def record(cells: Sequence[Cell], out: Path, store: Path) -> None:
    """Write a finished comparison to the store: ``MLFLOW_TRACKING_URI``, else ``mlflow.db`` in the folder ``store``.

    Args:
        cells: of the comparison.
        out: its folder, with its report.
        store: folder of the database.

    A store that cannot be used is told in a warning; see :class:`kdseg.handlers.mlflow_run.MlflowRun`.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(store / 'mlflow.db').as_posix()}"
    settings = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    experiment = str(settings["bundle"])
    group = str(settings["datalist"]["sha256"])[:12]
    tags = {"kdseg.role": "comparison", "kdseg.stage": "compare", "kdseg.group": group}
    name = f"comparison-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    parent = MlflowRun(uri, experiment, name, tags, out)
    parent.parameters({key: value if isinstance(value, str) else json.dumps(value) for key, value in settings.items()})
    parent.metrics(_headline(results), step=0)
    for cell in cells:
        if cell.finished or cell.notes("failed"):
            _record_cell(cell, uri, experiment, {"kdseg.group": group}, out, parent)
    for file in FILES:
        if (out / file).is_file():
            parent.file(out / file)
    parent.text("environment.json", json.dumps(environment(), indent=2))
    best = _best(cells)
    if best is not None:
        network, example = _network(best)
        parent.tag("kdseg.registered", best.label)
        # what kdseg predict models:/… takes
        for path in (best.folder / name for name in STUDENT):
            if path.is_file():
                parent.file(path)
        parent.model(network, example, "student", f"{experiment}_student")
    parent.finish("FINISHED")


def _record_cell(cell: Cell, uri: str, experiment: str, tags: Mapping[str, str], out: Path, parent: MlflowRun) -> None:
    role = "teacher" if cell.arm == TEACHER else "student_alone" if cell.arm == ALONE else "student_distilled"
    named = {"arm": cell.arm, "student": cell.student, "fold": cell.fold, "seed": str(cell.seed)}
    own = {f"kdseg.{key}": value for key, value in {"role": role, **named}.items() if value}
    run = MlflowRun(uri, experiment, cell.label.replace(", ", "-"), {**tags, **own}, out, parent)
    done, failed, costs = cell.notes("done"), cell.notes("failed"), cell.notes("measured")
    known = {**named, **done, **costs, **cell.notes("cell").get("settings", {})}
    run.parameters({key: value if isinstance(value, str) else json.dumps(value) for key, value in known.items()})
    for epoch, values in _history(cell.folder / "history.csv").items():
        run.metrics(values, step=epoch)
    summary = cell.folder / "evaluation_test" / "summary.json"
    if summary.is_file():
        means = {
            key: entry["mean"] for key, entry in json.loads(summary.read_text(encoding="utf-8"))["metrics"].items()
        }
        run.metrics({f"test/{key}": value for key, value in means.items() if value is not None}, done.get("steps") or 0)
        run.file(summary.with_name("cases.csv"))
    if cell.model.is_file():
        run.file(cell.model)
    if failed and not done:
        # its kind only: messages name files
        run.tag("kdseg.error", str(failed["reason"]).split(":")[0])
    run.finish("FINISHED" if done else "FAILED")


def _history(path: Path) -> dict[int, dict[str, float]]:
    if not path.is_file():
        return {}
    return {
        int(epoch): dict(zip(of["name"], of["value"], strict=True)) for epoch, of in pd.read_csv(path).groupby("epoch")
    }


def _headline(results: Mapping[str, Any]) -> dict[str, float]:
    """The key metric of every arm, and what each method gained."""
    metric = results["key_metric"]
    arms = {TEACHER: results[TEACHER], ALONE: results[ALONE], **results["methods"]}
    wanted = (metric, "gain", "ci_low", "ci_high", "p", "gap_closed")
    values = {f"{arm}/{key}": entry.get(key) for arm, entry in arms.items() for key in wanted}
    return {key: float(value) for key, value in values.items() if value is not None}


def _best(cells: Sequence[Cell]) -> Cell | None:
    """The distilled student with the best validation: the test cases choose nothing."""
    able = [cell for cell in cells if cell.finished and cell.arm not in (TEACHER, ALONE)]
    return max(able, key=lambda cell: cell.notes("done")["validation"], default=None)


def _network(cell: Cell) -> tuple[nn.Module, torch.Tensor]:
    trained = open_trained(cell.folder)
    return trained.network(), torch.zeros(trained.task.input_shape)
