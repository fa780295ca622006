"""Tiny networks, batches and trainers that the tests share."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import DataLoader, RandomSampler

from kdseg.distill import Distiller, Teacher
from kdseg.engines import DistillationTrainer
from kdseg.handlers import DiscriminatorStep
from kdseg.losses import SegmentationLoss
from kdseg.networks import UNet

SIZE = 16


def images(count: int = 6, seed: int = 0) -> list[dict[str, torch.Tensor]]:
    """Noise with a bright square; the label is the square."""
    generator = torch.Generator().manual_seed(seed)
    items = []
    for index in range(count):
        label = torch.zeros(1, SIZE, SIZE)
        label[:, 4 + index % 3 : 12, 4:12] = 1
        items.append({"image": label + 0.3 * torch.randn(1, SIZE, SIZE, generator=generator), "label": label})
    return items


def distiller(method: Any = "lightvessel", seed: int = 0, **settings: Any) -> Distiller:
    """A student and a teacher of 2 and 3 channels."""
    torch.manual_seed(seed)
    student, teacher = UNet(base_channels=2), UNet(base_channels=3)
    return Distiller(student, Teacher(teacher), method, head="sigmoid", probe_shape=(1, 1, SIZE, SIZE), **settings)


def discriminator_step(distilled: Distiller, learning_rate: float = 3e-5) -> DiscriminatorStep:
    """The discriminators' step with their optimiser."""
    groups = [{"params": distilled.discriminator_parameters()}]
    return DiscriminatorStep(distilled, torch.optim.Adam(groups, lr=learning_rate, betas=(0.9, 0.99)))


def trainer(distilled: Distiller, epochs: int = 2, steps: int = 2, handlers: Any = (), **settings: Any) -> Any:
    """A distillation trainer on :func:`images` with SGD, 2 images a batch."""
    data = images()
    loader = DataLoader(data, batch_size=2, sampler=RandomSampler(data, num_samples=2 * steps))  # type: ignore[arg-type]
    return DistillationTrainer(
        device=torch.device("cpu"),
        max_epochs=epochs,
        train_data_loader=loader,
        network=distilled,
        optimizer=torch.optim.SGD(distilled.trained_parameters(), lr=0.05, momentum=0.9),
        loss_function=SegmentationLoss("sigmoid"),
        train_handlers=list(handlers),
        **settings,
    )
