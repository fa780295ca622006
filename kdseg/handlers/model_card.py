"""The card of a trained network: README.md and one picture in its folder."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from monai.transforms import Compose
from torch import nn

from kdseg.data import load_datalist
from kdseg.errors import UserError
from kdseg.files import whole_file
from kdseg.handlers.case_overlays import overlay_row
from kdseg.networks import count_parameters
from kdseg.pictures.overlay import overlay_picture
from kdseg.task import Task, inferer, postprocessing, validation_transforms

__all__ = ["write_card"]

logger = logging.getLogger(__name__)

CARD = """# {name}: {description}

{role}, `{network}`, {parameters:,} parameters. Research only, not for clinical use.

| | |
|---|---|
| classes | {classes} |
| {metric} on the validation cases | {value:.4f} (epoch {epoch}) |
{teacher}| method | {method} |
| seed, fold | {seed}, {fold} |
| cases | {cases} |
| made with | {packages} |

{picture}    kdseg predict {folder} STUDY --output-dir masks/
    kdseg evaluate {folder} --datalist LIST.json

`task.json` says what the network is fed and what comes out; `history.json` how it was trained.
{monai}"""
PICTURE = "![a validation case: image, truth, prediction](picture.png)\n\n"
MONAI = """Where only MONAI is installed:
`python -m monai.bundle run --config_file {folder}/inference.json --dataset_dir STUDY --output_dir masks/`.
"""


def write_card(
    folder: Path, task: Task, history: Mapping[str, Any], trained: nn.Module, datalist: Path, fold: int | None
) -> None:
    """Write ``README.md`` and ``picture.png``: a validation case as the network sees it.

    Args:
        folder: of the training.
        task: its task.
        history: content of ``history.json``.
        trained: the network with its weights, on the CPU.
        datalist, fold: where the validation cases are.
    """
    counts = {key: value for key, value in history["datalist"].items() if key != "sha256"}
    teacher = history.get("teacher_validation")
    record = dict(load_datalist(datalist, "validation", fold)[0], case="validation case")
    drawn = True
    try:
        overlay_picture(
            [overlay_row(_predicted(record, task, trained, datalist), "prediction")], folder / "picture.png"
        )
    except (UserError, RuntimeError, MemoryError) as error:
        # a training is not lost for want of its picture
        drawn = False
        logger.warning(f"no picture for the card: {str(error).splitlines()[0]}")
    text = CARD.format(
        name=task.name,
        description=task.description or "a kdseg task",
        role=str(history["role"]).replace("_", " "),
        network=task.network["name"],
        parameters=count_parameters(trained),
        classes=", ".join(f"{number} {name}" for number, name in task.labels.items()),
        teacher="" if teacher is None else f"| its teacher's | {teacher:.4f} |\n",
        method=history.get("method", "none"),
        seed=history.get("seed", "?"),
        fold="none" if fold is None else fold,
        cases=", ".join(f"{value} {key}" for key, value in counts.items()),
        packages=", ".join(f"{key} {value}" for key, value in history["packages"].items()),
        folder=folder.name,
        picture=PICTURE if drawn else "",
        monai=MONAI.format(folder=folder.name) if (folder / "inference.json").is_file() else "",
        **history["validation"],
    )
    with whole_file(folder / "README.md") as temporary:
        temporary.write_text(text, encoding="utf-8")


def _predicted(record: Mapping[str, Any], task: Task, trained: nn.Module, datalist: Path) -> dict[str, Any]:
    """The case with its prediction, all on the grid of its file."""
    prepare = Compose(validation_transforms(task, datalist))
    item = prepare(dict(record))
    with torch.no_grad():
        logits = inferer(task)(torch.as_tensor(item["image"])[None], trained)[0]
    item["pred"] = torch.as_tensor(logits)
    return Compose(postprocessing(task, prepare, images=True))(item)
