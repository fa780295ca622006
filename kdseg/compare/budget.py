"""How many steps a budget is: the same number for every arm of a comparison."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from kdseg.compare.fold_lists import compare_lists
from kdseg.compare.plan import Cell, groups, plan
from kdseg.compare.request import CompareRequest
from kdseg.compare.training import train_group
from kdseg.errors import UserError

__all__ = ["steps_of"]

logger = logging.getLogger(__name__)

TRIED = 4
"""Steps of an epoch when the time is taken; the second of two epochs counts."""


def steps_of(request: CompareRequest, known: Mapping[str, Any]) -> int | None:
    """The steps that the budget allows; None where there is none.

    Minutes are turned into steps by timing every arm on this machine: as many as the slowest has time for, so that none
    takes longer and all get the same. What was found is kept, so that a comparison that goes on has the same length.

    Args:
        request: the comparison.
        known: the content of its ``comparison.json`` where it was begun before.
    """
    if request.budget is None:
        return None
    if not request.budget.endswith("m"):
        return int(request.budget)
    if known.get("budget") == request.budget:
        return int(known["budget_steps"])
    with tempfile.TemporaryDirectory() as folder:
        seconds, slowest = _slowest(replace(request, out=Path(folder), seeds=1))
    steps = int(60 * float(request.budget[:-1]) / seconds)
    logger.info(f"{request.budget} are {steps} steps of the slowest arm ({slowest}, {seconds:.3f} s a step)")
    if steps < 1:
        fix = f"give more than {seconds / 60:.2g} minutes, or a number of steps"
        raise UserError("--budget", found=request.budget, expected="time for one step or more", fix=fix)
    return steps


def _slowest(request: CompareRequest) -> tuple[float, str]:
    """Seconds of a step of the slowest arm, and its name. Nothing of this training is kept."""
    lists = compare_lists(request.datalist, request.out / "lists", request.folds, request.labelled)
    fold, path = next(iter(lists.items()))
    cells = [_short(cell) for cell in plan(request, {fold: path}, TRIED)]
    for group in groups(cells):
        train_group(group)
    times = {cell.arm: _seconds(cell) / TRIED for cell in cells if cell.finished and not cell.given}
    if not times:
        reason = next(cell.notes("failed").get("reason", "") for cell in cells)
        raise UserError("--budget", found=f"no arm that trains ({reason})", expected="one", fix="mend that first")
    slowest = max(times, key=lambda arm: times[arm])
    return times[slowest], slowest


def _short(cell: Cell) -> Cell:
    length = {"epochs": 2, "steps_per_epoch": TRIED, "val_interval": 2}
    warm_up = {"paraphraser_steps": 1} if "distill" in cell.layers else {}
    return replace(cell, settings={**cell.settings, **length, **warm_up})


def _seconds(cell: Cell) -> float:
    history = pd.read_csv(cell.folder / "history.csv")
    return float(history.loc[history["name"] == "seconds", "value"].iloc[-1])
