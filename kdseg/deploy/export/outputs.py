"""What an exported model gives: logits, probabilities or classes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from kdseg.errors import UserError, suggestion
from kdseg.task import Task

__all__ = ["OUTPUTS", "masks_of", "with_output"]

OUTPUTS = ("logits", "probabilities", "classes")


class _Probabilities(nn.Module):
    def __init__(self, softmax: bool) -> None:
        super().__init__()
        self.softmax = softmax

    def forward(self, logits: Tensor) -> Tensor:
        return torch.softmax(logits, dim=1) if self.softmax else torch.sigmoid(logits)


class _Classes(nn.Module):
    """One channel of class numbers; of a sigmoid head the most probable class that says yes."""

    def __init__(self, softmax: bool) -> None:
        super().__init__()
        self.softmax = softmax

    def forward(self, logits: Tensor) -> Tensor:
        greatest, place = logits.max(dim=1, keepdim=True)
        return (place if self.softmax else torch.where(greatest >= 0, place + 1, 0)).to(torch.int32)


def with_output(task: Task, network: nn.Module, output: str) -> nn.Module:
    """The network with its output in another form.

    Args:
        task: its head matters.
        network: gives logits ``BKH[WD]``.
        output: of :data:`OUTPUTS`: "probabilities" ``BKH[WD]``, "classes" ``B1H[WD]``, int32.

    Raises:
        UserError: for another word.
    """
    softmax = task.head == "softmax"
    kinds: dict[str, Callable[[], nn.Module]] = {
        "logits": lambda: network,
        "probabilities": lambda: nn.Sequential(network, _Probabilities(softmax)),
        "classes": lambda: nn.Sequential(network, _Classes(softmax)),
    }
    if output not in kinds:
        expected = ", ".join(OUTPUTS)
        raise UserError("--output", found=f"'{output}'", expected=expected, fix=suggestion(output, OUTPUTS))
    return kinds[output]().eval()


def masks_of(task: Task, values: np.ndarray, output: str) -> np.ndarray:
    """A yes or no of every class but the background, ``BKH[WD]``, from what a model gives."""
    if output != "classes" and task.head == "sigmoid":
        return values >= (0 if output == "logits" else 0.5)
    numbers = values[:, 0] if output == "classes" else values.argmax(axis=1)
    return np.stack([numbers == number for number in range(1, len(task.classes) + 1)], axis=1)
