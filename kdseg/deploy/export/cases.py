"""The real cases that an export is measured and calibrated on, and what the network is fed of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import Dataset
from monai.transforms import Compose
from torch import Tensor

from kdseg.data import load_datalist
from kdseg.data.lists.datalist import sections
from kdseg.task import Task, inferer, validation_transforms

__all__ = ["MEASURED_CASES", "calibration_images", "cases_of", "feed", "measured_section"]

MEASURED_CASES = 16
"""At most so many cases are measured, and as many images are drawn from for the calibration of int8."""
# windows and slices of a case: neighbours say little more than one of them
CALIBRATION_BATCHES = 8


def measured_section(datalist: str | Path) -> str:
    """ "validation" where the list has it; else "training". The test cases stay untouched."""
    return "validation" if "validation" in sections(datalist) else "training"


def cases_of(task: Task, datalist: str | Path, section: str, most: int = MEASURED_CASES) -> Dataset:
    """Cases of a section, evenly spread over it, as validation prepares them, with their labels."""
    records = load_datalist(datalist, section)
    places = np.unique(np.linspace(0, len(records) - 1, min(most, len(records))).round().astype(int))
    return Dataset([records[place] for place in places], Compose(validation_transforms(task, datalist)))


def feed(task: Task, case: Any, network: Callable[[Tensor], Tensor]) -> None:
    """Give a prepared case to a network as prediction does: whole, or in its tiles, slices or windows."""
    with torch.inference_mode():
        inferer(task)(torch.as_tensor(case["image"])[None].float(), network)


def calibration_images(task: Task, datalist: str | Path) -> list[np.ndarray]:
    """What the network is fed of training cases, ``BCH[WD]`` each, some of every case."""

    def collected() -> Iterator[np.ndarray]:
        cases: Any = cases_of(task, datalist, "training")
        for case in cases:
            batches: list[np.ndarray] = []

            def keep(batch: Tensor, batches: list[np.ndarray] = batches) -> Tensor:
                batches.append(batch.numpy())
                return torch.zeros(len(batch), task.out_channels, *batch.shape[2:])

            feed(task, case, keep)
            places = np.linspace(0, len(batches) - 1, min(CALIBRATION_BATCHES, len(batches))).astype(int)
            for place in np.unique(places):
                yield from (np.ascontiguousarray(image[None]) for image in batches[place])

    return list(collected())
