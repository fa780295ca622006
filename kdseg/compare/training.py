"""Trains the cells of one group in step, each as ``kdseg train`` or ``kdseg distill`` would."""

from __future__ import annotations

import csv
import json
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.bundle import ConfigWorkflow

from kdseg._version import __version__
from kdseg.compare.plan import Cell
from kdseg.configuration import compose_bundle, with_literal_paths
from kdseg.engines import FanOut, Training
from kdseg.errors import UserError, reason_of
from kdseg.files import whole_file
from kdseg.handlers.provenance import without_private_parts
from kdseg.task import read_history

__all__ = ["check_unchanged", "fail", "share_parts", "train_group", "write_json"]

logger = logging.getLogger(__name__)

# what the trainings of a group have in common, by its place in the configuration
SHARED = ("train::dataset", "validate::dataset")


def train_group(cells: Sequence[Cell]) -> None:
    """Train what is not finished; a cell that fails is noted in its ``failed.json`` and the others go on."""
    shared: dict[str, Any] = {}
    workflows: dict[str, ConfigWorkflow] = {}
    arms: list[Training] = []
    taught = False
    for cell in (cell for cell in cells if not cell.finished):
        (cell.folder / "failed.json").unlink(missing_ok=True)
        write_json(cell.folder / "cell.json", _described(cell))
        if cell.given:
            write_json(cell.folder / "done.json", {"key": cell.key})
            continue
        log = _CellLog(cell)
        try:
            workflow = _compose(cell, measure_teacher=not taught)
            workflow.initialize()
            share_parts(workflow, SHARED, shared)
            arms.append(Training(cell.label, workflow.parser.get_parsed_content("train#trainer"), log))
        except Exception as error:
            fail(cell, error)
            continue
        workflows[cell.label] = workflow
        taught = taught or arms[-1].distiller is not None
    if not arms:
        return
    bar = _bar(cells[0], arms)
    FanOut(arms, bar.update).run()
    bar.close()
    by_label = {cell.label: cell for cell in cells}
    for arm in arms:
        if arm.error is not None:
            fail(by_label[arm.name], arm.error)
        else:
            _finish(by_label[arm.name], arm, workflows[arm.name])


def check_unchanged(cells: Sequence[Cell]) -> None:
    """Refuse a folder with results of other settings or of another version: one table must not mix them.

    Raises:
        UserError: for the first such cell.
    """
    for cell in cells:
        known = cell.notes("cell")
        if not known or known.get("key") == cell.key:
            continue
        found = "a training with other settings, another data list or another teacher"
        if known.get("kdseg_version") != __version__:
            found = f"results of kdseg {known.get('kdseg_version')}, and this is {__version__}"
        fix = "choose another --out, or delete this folder to train it again"
        raise UserError(cell.folder, found=found, expected="results that belong to this comparison", fix=fix)


def share_parts(workflow: ConfigWorkflow, places: Sequence[str], shared: dict[str, Any]) -> None:
    """Use the parts that another workflow has built, or build them for all; the configuration stays as it is.

    Args:
        workflow: initialised, its parts not yet built.
        places: ids of the parts.
        shared: is filled by the first workflow.
    """
    if not shared:
        shared.update({place: workflow.parser.get_parsed_content(place) for place in places})
    workflow.parser.ref_resolver.resolved_content.update(shared)


def fail(cell: Cell, error: BaseException) -> None:
    """Note why a cell has no result."""
    logger.warning(f"{cell.label} failed: {reason_of(error)}")
    write_json(cell.folder / "failed.json", {"key": cell.key, "reason": reason_of(error)})


def write_json(path: Path, content: Any) -> None:
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _compose(cell: Cell, measure_teacher: bool) -> ConfigWorkflow:
    settings = with_literal_paths(cell.settings)
    # the group has one bar, and the teacher of all is measured once
    settings["train#handlers#0#progress"] = False
    if "distill" in cell.layers:
        settings["train#handlers#0#distillation#measure_teacher"] = measure_teacher
    return compose_bundle(cell.bundle, cell.layers, settings, own_logging=False)


def _finish(cell: Cell, arm: Training, workflow: ConfigWorkflow) -> None:
    """The mark that the cell is done, written last."""
    if not cell.model.is_file():
        fail(cell, RuntimeError("the training ended without a validation, so there is no best student"))
        return
    with (cell.folder / "history.csv").open(newline="", encoding="utf-8") as file:
        seconds = sum(float(row["value"]) for row in csv.DictReader(file) if row["name"] == "seconds")
    evaluator = workflow.parser.get_parsed_content("validate#evaluator")
    content = {
        "key": cell.key,
        "seconds": round(seconds, 2),
        "steps": arm.trainer.state.iteration,
        "best_epoch": int(evaluator.state.best_metric_epoch),
        "validation": round(float(evaluator.state.best_metric), 6),
        "last_quarter_gain": read_history(cell.folder)["improvement"]["last_quarter_gain"],
        "finished_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
    write_json(cell.folder / "done.json", content)


def _described(cell: Cell) -> dict[str, Any]:
    settings: Mapping[str, Any] = without_private_parts(cell.settings)
    layers = list(cell.layers)
    return {"key": cell.key, "kdseg_version": __version__, "cell": cell.label, "layers": layers, "settings": settings}


def _bar(cell: Cell, arms: Sequence[Training]) -> Any:
    """One progress bar for the group, in a terminal only."""
    from tqdm import tqdm

    where = ", ".join(part for part in (f"fold {cell.fold}", f"seed {cell.seed}") if part != "fold all")
    steps = cell.settings["epochs"] * cell.settings["steps_per_epoch"]
    title = f"{where}: {len(arms)} trainings" if len(arms) > 1 else cell.label
    return tqdm(total=steps, desc=title, unit="step", disable=not sys.stderr.isatty())


class _CellLog(logging.Handler):
    """What the package says while a cell trains goes to ``log.txt`` of the cell; warnings to the comparison's too."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("kdseg.compare"):
            return
        with (self.cell.folder / "log.txt").open("a", encoding="utf-8") as file:
            file.write(self.format(record) + "\n")
        if record.levelno >= logging.WARNING:
            logger.warning(f"{self.cell.label}: {record.getMessage()}")
