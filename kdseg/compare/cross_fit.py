"""Trains the teachers of a cross-fit: each on all parts of the training cases but one, and says how sure it may be."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigWorkflow
from monai.transforms import Compose

from kdseg.configuration import literal, run_bundle
from kdseg.data import load_datalist
from kdseg.data.lists.cross_fit import cross_fit_lists
from kdseg.distill.teachers.calibration import best_temperature
from kdseg.distill.teachers.cross_fit import CROSS_FIT_FILE
from kdseg.task import inferer, open_trained, training_transforms, write_json
from kdseg.transforms import NeighbourSlicesd

__all__ = ["train_cross_fit"]

logger = logging.getLogger(__name__)


def train_cross_fit(
    bundle: Path, layers: Sequence[str], settings: Mapping[str, Any], datalist: Path, folder: Path, parts: int
) -> Path:
    """Train a teacher for each part, in ``folder/teacher_<part>``; the record ``cross_fit.json`` is written last.

    Given again after a stop, it goes on where it was; what is finished is not trained again.

    Args:
        bundle: folder of the bundle.
        layers: configuration files, those of the teacher's training.
        settings: changes to them.
        datalist: whose training cases are divided, by whole patients.
        folder: for everything.
        parts: how many teachers.

    Returns:
        The record.

    Raises:
        UserError: as the training itself, and for a number of parts that the list does not have patients for.
    """
    lists = cross_fit_lists(datalist, folder / "lists", parts, settings.get("fold"))
    (folder / CROSS_FIT_FILE).unlink(missing_ok=True)
    teachers = []
    for part, path in enumerate(lists):
        output = folder / f"teacher_{part}"
        places = {"datalist": literal(path), "output_dir": literal(output), "fold": None}
        logger.info(f"teacher {part + 1} of {parts}")
        workflow = run_bundle(bundle, layers, {**settings, **places})
        temperature = _temperature(output, path, _device(workflow))
        logger.info(f"teacher {part + 1} of {parts}: temperature {temperature:.3f} on the images that it has not seen")
        teachers.append({"folder": output.name, "list": f"lists/{path.name}", "temperature": round(temperature, 4)})
    write_json({"parts": parts, "teachers": teachers}, folder / CROSS_FIT_FILE)
    return folder / CROSS_FIT_FILE


def _device(workflow: ConfigWorkflow) -> torch.device:
    return torch.device(workflow.parser.get_parsed_content("device"))


def _temperature(folder: Path, datalist: Path, device: torch.device) -> float:
    """Of a trained teacher, on the part that it was not trained on."""
    trained = open_trained(folder)
    task, network = trained.task, trained.network().to(device)
    neighbours = [NeighbourSlicesd("image", task.neighbours)] if task.neighbours > 1 else []
    prepare, infer = Compose(training_transforms(task, datalist, neighbours)), inferer(task)
    pairs = []
    for record in load_datalist(datalist, "validation"):
        case = prepare(record)
        with torch.no_grad():
            logits = torch.as_tensor(infer(torch.as_tensor(case["image"])[None].to(device), network))
        pairs.append((logits.cpu(), torch.as_tensor(case["label"])[None]))
    return best_temperature(pairs, task.head)
