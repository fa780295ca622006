"""Random numbers that depend on the seed and the epoch alone: a resumed training equals an uninterrupted one."""

from __future__ import annotations

import random

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Events
from monai.data.utils import set_rnd
from monai.engines import Workflow

__all__ = ["ReproducibleEpochs"]


class ReproducibleEpochs:
    """Seeds Python, NumPy, torch and the random transforms at the start of every epoch.

    Two trainings with the same seed see the same batches with the same augmentation in every epoch, whatever else they
    draw: the student alone and the distilled student are compared on the same stream. Needs an epoch that ends with the
    data loader (a sampler as long as the epoch).

    Args:
        seed: the training's seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def attach(self, trainer: Workflow) -> None:
        trainer.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, trainer: Workflow) -> None:
        rank = idist.get_rank()
        drawn = int(np.random.SeedSequence([self.seed, trainer.state.epoch, rank]).generate_state(1)[0])
        random.seed(drawn)
        np.random.seed(drawn)
        torch.manual_seed(drawn)
        dataset = getattr(trainer.data_loader, "dataset", None)
        transform = getattr(dataset, "transform", None)
        if transform is not None:
            # the transform, not the dataset: set_rnd walks through everything, the cached images included
            set_rnd(transform, drawn % (2**31))
