"""Whether an exported model is the network: both on the same real cases, window by window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kdseg.deploy.export.cases import feed
from kdseg.deploy.export.outputs import masks_of
from kdseg.task import Task

__all__ = ["LARGEST_DIFFERENCE", "LEAST_DICE", "Parity", "measure_parity"]

LARGEST_DIFFERENCE = 1e-3
"""Of a float32 model: by how much a value may differ, as a part of the largest value of the case (of 1 at least)."""
LEAST_DICE = 0.999
"""Of a float32 model: the agreement of its mask with the network's."""


@dataclass
class Parity:
    """What was measured of one format.

    Attributes:
        differences: of each case, the largest difference of a value.
        tolerances: what it may be.
        dices: of each case, of the two masks.
        names: of the cases; they stay here and go into no file.
    """

    names: list[str] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)
    tolerances: list[float] = field(default_factory=list)
    dices: list[float] = field(default_factory=list)
    means: list[float] = field(default_factory=list)

    @property
    def fault(self) -> str:
        """The case that is beyond the tolerance, and by how much; empty where none is."""
        for name, difference, tolerance, dice in zip(
            self.names, self.differences, self.tolerances, self.dices, strict=True
        ):
            # a value that is no number is beyond it too
            if not difference <= tolerance:
                return f"case {name}: values that differ by up to {difference:.3g}, {tolerance:.3g} at most is allowed"
            if not dice >= LEAST_DICE:
                return f"case {name}: masks of Dice {dice:.5f}, {LEAST_DICE} at least is needed"
        return ""

    @property
    def facts(self) -> dict[str, Any]:
        """For ``export.json``."""
        return {
            "cases": len(self.names),
            "max_difference": max(self.differences),
            "mean_difference": float(np.mean(self.means)),
            "dice": float(np.mean(self.dices)),
            "lowest_dice": min(self.dices),
        }


def measure_parity(
    task: Task,
    network: nn.Module,
    models: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    cases: Any,
    output: str = "logits",
) -> dict[str, Parity]:
    """Run the network and its exported models over the same windows of the same cases.

    Args:
        task: how the network goes over a case.
        network: gives what the models give.
        models: format → the exported model, from ``BCH[WD]`` to its output.
        cases: see :func:`~kdseg.deploy.export.cases.cases_of`.
        output: of :data:`~kdseg.deploy.export.outputs.OUTPUTS`.
    """
    found = {name: Parity() for name in models}
    for case in cases:
        sums = {name: _Sums(len(task.classes)) for name in models}

        def compare(batch: Tensor, sums: dict[str, _Sums] = sums) -> Tensor:
            reference = network(batch)
            for name, model in models.items():
                sums[name].add(reference.numpy(), model(batch.numpy()), task, output)
            # the inferer only puts it together, and of classes it has another number of channels
            return torch.zeros(len(batch), task.out_channels, *batch.shape[2:])

        feed(task, case, compare)
        for name, parity in found.items():
            parity.names.append(str(case.get("case", len(parity.names))))
            parity.differences.append(sums[name].largest)
            parity.means.append(sums[name].total / sums[name].count)
            parity.tolerances.append(LARGEST_DIFFERENCE * max(1.0, sums[name].greatest))
            parity.dices.append(sums[name].dice)
    return found


class _Sums:
    """Over the windows of a case."""

    def __init__(self, classes: int) -> None:
        self.largest, self.greatest, self.total, self.count = 0.0, 0.0, 0.0, 0
        self.both, self.sizes = np.zeros(classes), np.zeros(classes)

    def add(self, reference: np.ndarray, exported: np.ndarray, task: Task, output: str) -> None:
        difference = np.abs(reference.astype(np.float64) - exported)
        # np.maximum keeps what is no number, max() may lose it
        self.largest = float(np.maximum(self.largest, difference.max()))
        self.greatest = max(self.greatest, float(np.abs(reference).max()))
        self.total, self.count = self.total + float(difference.sum()), self.count + difference.size
        ours, theirs = masks_of(task, reference, output), masks_of(task, exported, output)
        axes = (0, *range(2, ours.ndim))
        self.both += (ours & theirs).sum(axis=axes)
        self.sizes += ours.sum(axis=axes) + theirs.sum(axis=axes)

    @property
    def dice(self) -> float:
        """Mean over the classes; 1 of a class that is in neither."""
        return float(np.where(self.sizes > 0, 2 * self.both / np.maximum(self.sizes, 1), 1.0).mean())
