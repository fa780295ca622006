"""What distillation costs: a step, the exact relations, several students at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from kdseg.distill import Distiller
from kdseg.engines import DistillationTrainer
from kdseg.losses import SegmentationLoss

__all__ = ["disc", "new_trainer", "one_thread"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread, since the ratio of two times must not depend on what else the machine does meanwhile."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def disc(size: Sequence[int]) -> Tensor:
    """A round foreground in the middle, as lesions and vessels are: boolean ``HW[D]``."""
    grid = torch.meshgrid(*(torch.linspace(-1, 1, length) for length in size), indexing="ij")
    return torch.stack(grid).square().sum(0) < 0.3


def new_trainer(distiller: Distiller, batches: Any, **settings: Any) -> DistillationTrainer:
    """One epoch of the batches on the CPU."""
    return DistillationTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=batches,
        network=distiller,
        optimizer=torch.optim.AdamW(distiller.trained_parameters()),
        loss_function=SegmentationLoss("sigmoid"),
        **settings,
    )
