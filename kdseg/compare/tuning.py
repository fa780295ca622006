"""A search of every arm's weights, with the same number of trials for each, on validation cases alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdseg.compare.plan import Cell, groups
from kdseg.compare.request import ALONE, TEACHER
from kdseg.compare.workers import Engine, train_here
from kdseg.distill import LOSSES, build_method
from kdseg.errors import UserError
from kdseg.handlers import fingerprint

if TYPE_CHECKING:
    from optuna import Study

__all__ = ["Tuned", "check_optuna", "tune"]

logger = logging.getLogger(__name__)

Tuned = Mapping[tuple[str, str, str], Mapping[str, Any]]
"""Fold, student and arm → the settings that were found."""

WIDTH = 30.0
"""A number is searched from a thirtieth of its default to thirty times that."""

SEED = 1000
"""Of the trials: none of the comparison's own."""


def check_optuna() -> None:
    """Refuse a search where Optuna is not installed.

    Raises:
        UserError: when it is not.
    """
    if find_spec("optuna") is None:
        fix = "pip install 'kdseg[tune]'"
        raise UserError("--tune", found="no package 'optuna'", expected="it to be installed", fix=fix)


def tune(cells: Sequence[Cell], trials: int, folder: Path, engine: Engine = train_here) -> Tuned:
    """Search what is best for each arm in each fold; what was tried before is not tried again.

    The student alone searches its learning rate; the methods then train with that rate, and each searches the weights
    of its terms. All trials have the comparison's own budget and another seed; the first is that of the defaults. What
    counts is the best validation of a trial. Each fold searches for itself, because one fold's validation cases may be
    another's test cases.

    Args:
        cells: of the comparison, with the defaults; their teachers are trained.
        trials: of each arm, failed ones included.
        folder: for ``studies.db`` and the trials.
        engine: where they are trained.

    Returns:
        The best settings by fold, student and arm.
    """
    tuned: dict[tuple[str, str, str], dict[str, Any]] = {}
    first = {(cell.fold, cell.student, cell.arm): cell for cell in reversed(cells) if cell.arm != TEACHER}
    for fold in dict.fromkeys(cell.fold for cell in cells):
        of_fold = {place: cell for place, cell in first.items() if place[0] == fold}
        alone = {place: cell for place, cell in of_fold.items() if place[2] == ALONE}
        tuned |= _search(alone, {}, trials, folder, engine)
        methods = {place: cell for place, cell in of_fold.items() if place[2] != ALONE}
        rates = {place: dict(tuned[place[0], place[1], ALONE]) for place in methods}
        tuned |= _search(methods, rates, trials, folder, engine)
    return tuned


def _search(
    cells: Mapping[tuple[str, str, str], Cell],
    fixed: Mapping[tuple[str, str, str], Mapping[str, Any]],
    trials: int,
    folder: Path,
    engine: Engine,
) -> dict[tuple[str, str, str], dict[str, Any]]:
    """The arms go through their trials side by side: those on the same batches share them and the teacher."""
    studies = {place: _study(place, folder) for place in cells}
    for number in range(trials):
        todo: dict[tuple[str, str, str], Cell] = {}
        for place, cell in cells.items():
            if len(studies[place].trials) <= number or not studies[place].trials[number].state.is_finished():
                found = _suggested(studies[place], cell, number)
                target = folder / f"fold_{place[0]}" / place[1] / place[2] / f"trial_{number}"
                todo[place] = _trial(cell, _settings(cell, found, fixed.get(place, {})), target)
        if todo:
            logger.info(f"trial {number + 1} of {trials}: {', '.join(dict.fromkeys(place[2] for place in todo))}")
        engine(groups(list(todo.values())), lambda: None)
        for place, trial in todo.items():
            _tell(studies[place], number, trial)
    best = {}
    for place, study in studies.items():
        done = [trial for trial in study.trials if trial.value is not None]
        if not done:
            reason = todo[place].notes("failed").get("reason", "") if place in todo else "all trials failed"
            expected = "a trial that trains"
            raise UserError(f"--tune, {', '.join(place)}", found=reason, expected=expected, fix="mend that")
        values = study.best_params
        logger.info(f"best of {', '.join(place)}: {study.best_value:.4f} on validation with {values}")
        best[place] = _settings(cells[place], values, fixed.get(place, {}))
    return best


def _study(place: tuple[str, str, str], folder: Path) -> Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    return optuna.create_study(
        storage=f"sqlite:///{folder / 'studies.db'}",
        study_name="/".join(place),
        direction="maximize",
        load_if_exists=True,
    )


def _suggested(study: Study, cell: Cell, number: int) -> dict[str, Any]:
    """The numbers of a trial; those of a trial that was cut off by a stop are taken up again."""
    import optuna

    defaults = _defaults(cell)
    if len(study.trials) > number:
        return dict(study.trials[number].params)
    # drawn from the number of the trial: the search is the same whether it was stopped in between or not
    study.sampler = optuna.samplers.TPESampler(seed=number)
    if number == 0:
        study.enqueue_trial(defaults)
    trial = study.ask()
    most = _most(cell)
    return {
        name: trial.suggest_float(name, value / WIDTH, min(value * WIDTH, most.get(name, value * WIDTH)), log=True)
        for name, value in defaults.items()
    }


def _defaults(cell: Cell) -> dict[str, float]:
    """What is searched, with its default: the learning rate, or the weight (or share) of each term."""
    if cell.arm == ALONE:
        return {"learning_rate": float(cell.settings["learning_rate"])}
    terms = build_method(cell.settings["method"], cell.settings.get("method_args")).terms
    return {name: float(term.share or term.weight) for name, term in terms.items()}


def _most(cell: Cell) -> dict[str, float]:
    """The largest weight of the terms that have one."""
    terms = {} if cell.arm == ALONE else build_method(cell.settings["method"]).terms
    return {name: LOSSES[term.loss].largest_weight for name, term in terms.items()}


def _settings(cell: Cell, values: Mapping[str, float], fixed: Mapping[str, Any]) -> dict[str, Any]:
    if cell.arm == ALONE:
        return dict(values)
    given = cell.settings.get("method_args", {})
    terms = build_method(cell.settings["method"], given).terms
    found = {name: {"share" if terms[name].share else "weight": value} for name, value in values.items()}
    merged = {name: {**given.get(name, {}), **found.get(name, {})} for name in {**given, **found}}
    return {**fixed, "method_args": merged}


def _trial(cell: Cell, found: Mapping[str, Any], folder: Path) -> Cell:
    settings = {**cell.settings, **found, "seed": SEED, "output_dir": str(folder)}
    key = fingerprint(cell=cell.key, found=found)
    return replace(cell, settings=settings, seed=SEED, folder=folder, key=key)


def _tell(study: Study, number: int, trial: Cell) -> None:
    from optuna.trial import TrialState

    value = trial.notes("done").get("validation")
    study.tell(number, value, state=TrialState.COMPLETE if value is not None else TrialState.FAIL)
