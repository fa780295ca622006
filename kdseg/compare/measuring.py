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
from monai.bundle import ConfigWorkflow
from torch import Tensor, nn

from kdseg.compare.plan import Cell
from kdseg.compare.request import TEACHER
from kdseg.compare.training import fail, share_parts, write_json
from kdseg.errors import reason_of
from kdseg.configuration import compose_bundle
from kdseg.files import whole_file

__all__ = ["collect_cases", "collect_cells", "measure"]

logger = logging.getLogger(__name__)

SHARED = ("validate::dataset",)
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
    shared: dict[str, dict[str, Any]] = {}
    costs = {_network(cell): cell.notes("measured") for cell in cells if cell.notes("measured")}
    for cell in todo:
        try:
            workflow = _compose(cell)
            workflow.initialize()
            share_parts(workflow, SHARED, shared.setdefault(cell.fold, {}))
            if cell.given:
                # it is loaded where the configuration loads a teacher, whatever kind of file it is
                workflow.parser.get_parsed_content("validate#evaluator").run()
            else:
                workflow.run()
        except Exception as error:
            (cell.folder / "done.json").unlink()
            fail(cell, error)
            continue
        if _network(cell) not in costs:
            costs[_network(cell)] = _costs(workflow, cell)
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
        row |= {key: done.get(key) for key in ("seconds", "steps", "best_epoch", "validation")}
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


def _compose(cell: Cell) -> ConfigWorkflow:
    if cell.given:
        workflow = compose_bundle(cell.bundle, [*cell.layers, "evaluate"], cell.settings, own_logging=False)
        workflow.parser["validate#evaluator#network"] = "@teacher_network"
    else:
        layers = ["train", *(["train_teacher"] if cell.arm == TEACHER else []), "evaluate"]
        workflow = compose_bundle(cell.bundle, layers, {}, own_logging=False)
        for key, value in cell.settings.items():
            # what concerns the distillation alone is no setting of these layers
            if key.replace("::", "#").split("#")[0] in workflow.parser and key not in ("method", "batch_size"):
                workflow.parser[key] = value
    pictures = {"_target_": "kdseg.handlers.CasePictures", "output_dir": "@evaluation_dir", "classes": "@classes"}
    workflow.parser["validate#handlers"].append(pictures)
    return workflow


def _network(cell: Cell) -> str:
    """Cells with the same network cost the same."""
    return cell.student or TEACHER


def _costs(workflow: ConfigWorkflow, cell: Cell) -> dict[str, Any]:
    """Parameters, multiply-accumulates of one training patch, and the time of the first test image."""
    from kdseg.deploy.latency import milliseconds_per_image
    from kdseg.networks.count import count_macs, count_parameters

    parser = workflow.parser
    network: nn.Module = parser.get_parsed_content("validate#evaluator#network")
    costs: dict[str, Any] = {"params": count_parameters(network), "macs": None, "ms_per_image": None}
    patch = (1, parser.get_parsed_content("in_channels"), *parser.get_parsed_content("patch_size"))
    inference = _Inference(network, parser.get_parsed_content("validate#inferer"))
    try:
        image = torch.as_tensor(parser.get_parsed_content("validate#dataset")[0]["image"])
        device = next(network.parameters()).device
        milliseconds = milliseconds_per_image(inference, (1, *image.shape), device, repeats=5)
        costs["ms_per_image"] = round(milliseconds, 3)
        costs["macs"] = count_macs(network, patch)
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
