"""Measures the trained networks of a comparison on the test cases, after all training is done."""

from __future__ import annotations

import csv
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from monai.data import Dataset
from torch import Tensor, nn

from kdseg.compare.plan import Cell
from kdseg.compare.request import TEACHER
from kdseg.compare.training import fail, write_json
from kdseg.configuration import compose_bundle, with_literal_paths
from kdseg.deploy import evaluation_data, milliseconds_per_image, run_evaluation
from kdseg.errors import reason_of
from kdseg.files import whole_file
from kdseg.handlers import CaseOverlays, CasePictures, fingerprint
from kdseg.networks import count_macs, count_parameters
from kdseg.task import Task, inferer, open_trained

__all__ = ["collect_cases", "collect_cells", "composed_task", "measure"]

logger = logging.getLogger(__name__)

TABLE = Path("evaluation_test") / "cases.csv"


def measure(cells: Sequence[Cell]) -> str | None:
    """Evaluate the finished cells that have not been yet; a case table, pictures and costs for each.

    Returns:
        When the test split was read (UTC); None when nothing was left to measure.
    """
    todo = [cell for cell in cells if cell.finished and not cell.notes("measured")]
    if not todo:
        return None
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    logger.info(f"the test split is read at {now}, after all training, for {len(todo)} networks")
    shared: dict[str, Dataset] = {}
    costs = {_network(cell): cell.notes("measured") for cell in cells if cell.notes("measured")}
    for cell in todo:
        try:
            network, task = _teacher(cell) if cell.given else _trained(cell)
            datalist = cell.settings["datalist"]
            seen = fingerprint(task=task.changed({"network": {"name": "any"}}).as_json(), list=str(datalist))
            if seen not in shared:
                shared[seen] = evaluation_data(task, datalist)
            folder = cell.folder / TABLE.parent
            extra = [CaseOverlays(folder), CasePictures(folder, task.classes)]
            device = cell.settings.get("device", "cpu").removeprefix("$torch.device('").removesuffix("')")
            run_evaluation(task, network, shared[seen], folder, extra, device)
        except Exception as error:
            (cell.folder / "done.json").unlink()
            fail(cell, error)
            continue
        if _network(cell) not in costs:
            costs[_network(cell)] = _costs(network, task, shared[seen], cell)
        write_json(cell.folder / "measured.json", costs[_network(cell)])
    return now


def collect_cells(cells: Sequence[Cell], out: Path) -> list[dict[str, Any]]:
    """Write ``cells.json``: what became of every cell that was begun."""
    rows = []
    for cell in cells:
        done, failed, costs = cell.notes("done"), cell.notes("failed"), cell.notes("measured")
        if not done and not failed:
            continue
        row = {"fold": cell.fold, "student": cell.student, "arm": cell.arm, "seed": cell.seed}
        row |= {"folder": cell.folder.relative_to(out).as_posix(), "state": "finished" if done else "failed"}
        row |= {"reason": failed.get("reason", "")}
        row |= {key: done.get(key) for key in ("seconds", "steps", "best_epoch", "validation", "last_quarter_gain")}
        row |= {key: costs.get(key) for key in ("params", "macs", "ms_per_image")}
        rows.append({**row, "standing": cell.standing})
    write_json(out / "cells.json", rows)
    return rows


def collect_cases(cells: Sequence[Cell], out: Path) -> list[dict[str, Any]]:
    """Write ``cases.csv``: every test case of every measured network."""
    rows: list[dict[str, Any]] = []
    for cell in cells:
        if not cell.notes("measured"):
            continue
        content = json.loads(Path(cell.settings["datalist"]).read_text(encoding="utf-8"))
        sites = {str(record.get("case")): record.get("site", "") for record in content["test"]}
        place = {"fold": cell.fold, "student": cell.student, "arm": cell.arm, "seed": cell.seed}
        with (cell.folder / TABLE).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                case = row.pop("case")
                rows.append({**place, "case": case, "site": sites.get(case, ""), **row})
    columns = list(dict.fromkeys(key for row in rows for key in row))
    with whole_file(out / "cases.csv") as path, path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=columns)
        writer.writeheader()
        writer.writerows(rows)
    return rows


def composed_task(cell: Cell) -> Task:
    """The task that a cell is trained with."""
    settings = with_literal_paths(cell.settings)
    return compose_bundle(cell.bundle, cell.layers, settings, own_logging=False).parser.get_parsed_content("task")


def _trained(cell: Cell) -> tuple[nn.Module, Task]:
    trained = open_trained(cell.folder)
    return trained.network(), trained.task


def _teacher(cell: Cell) -> tuple[nn.Module, Task]:
    """A teacher that was given, whatever kind of file it is, as a distillation would load it."""
    workflow = compose_bundle(cell.bundle, cell.layers, with_literal_paths(cell.settings), own_logging=False)
    workflow.initialize()
    return workflow.parser.get_parsed_content("teacher_network"), workflow.parser.get_parsed_content("task")


def _network(cell: Cell) -> str:
    """Cells with the same network cost the same."""
    return cell.student or TEACHER


def _costs(network: nn.Module, task: Task, data: Dataset, cell: Cell) -> dict[str, Any]:
    """Parameters, multiply-accumulates of one input, and the time of the first test image."""
    costs: dict[str, Any] = {"params": count_parameters(network), "macs": None, "ms_per_image": None}
    try:
        image = torch.as_tensor(data[0]["image"])
        device = next(network.parameters()).device
        milliseconds = milliseconds_per_image(_Inference(network, inferer(task)), (1, *image.shape), device, repeats=5)
        costs["ms_per_image"] = round(milliseconds, 3)
        costs["macs"] = count_macs(network, task.input_shape)
    # a traced network may take no other shape, and a cost that is not known is no reason to lose the score
    except Exception as error:
        logger.warning(f"the costs of {cell.label} are not known: {reason_of(error)}")
    return costs


class _Inference(nn.Module):
    """A network with its inferer, as one thing whose time can be taken."""

    def __init__(self, network: nn.Module, inferer: Any) -> None:
        super().__init__()
        self.network = network
        self.inferer = inferer

    def forward(self, image: Tensor) -> Tensor:
        return self.inferer(image, self.network)
