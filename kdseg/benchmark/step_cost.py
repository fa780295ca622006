"""What a distillation step costs beside the student's own step and the teacher's forward, which nobody can save."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kdseg.benchmark import disc, new_trainer, one_thread
from kdseg.distill import METHODS, Distiller, Teacher
from kdseg.errors import UserError, suggestion
from kdseg.handlers import DiscriminatorStep
from kdseg.losses import AdversarialLoss, SegmentationLoss
from kdseg.losses.adversarial import critic
from kdseg.networks import ThinUNet, UNet

__all__ = ["SOFT_LABELS_ROW", "benchmark_step"]

SOFT_LABELS_ROW = "kd from soft labels"
"""The step whose teacher was asked before the training; see :class:`kdseg.distill.SoftLabels`."""

logger = logging.getLogger(__name__)


def benchmark_step(
    methods: Sequence[str] | None = None,
    size: Sequence[int] = (128, 128),
    batch: int = 4,
    teacher_channels: int = 64,
    repeats: int = 5,
) -> list[dict[str, Any]]:
    """Measure the training step of methods with the networks of the coronary bundle, on this machine's CPU.

    The arms of a method alternate in one process, repeat after repeat, so that a machine that gets slower does so for
    all of them. Times are CPU time of one thread, the shortest of the repeats: what else the machine does only adds.

    Args:
        methods: names of :data:`~kdseg.distill.METHODS`; all of them, and "kd from soft labels", by default.
        size: spatial size of the crops.
        batch: crops in a batch; 3 or more, since some terms relate the images of a batch to one another.
        teacher_channels: base width of the teacher, a UNet; the student is a ThinUNet.
        repeats: how often every arm is measured.

    Returns:
        One dictionary a method: ``method``; ``student_ms``, the student's forward, supervised loss, backward and
        optimiser step, alone; ``teacher_ms``, the teacher's forward, 0 where it was asked before; ``discriminator_ms``,
        the discriminator's own step and the passage of the student's output through it, forth and back, 0 where there
        is none; ``step_ms``, the whole step; ``ratio`` = (step − discriminator) / (student + teacher).

    Raises:
        UserError: for an unknown method.
    """
    known = [*METHODS, SOFT_LABELS_ROW]
    chosen = known if methods is None else list(methods)
    for name in chosen:
        if name not in known:
            fix = suggestion(name, known)
            raise UserError("method", found=repr(name), expected=f"one of {', '.join(known)}", fix=fix)
    with one_thread():
        return [_row(name, size, batch, teacher_channels, repeats) for name in chosen]


def _row(method: str, size: Sequence[int], batch: int, teacher_channels: int, repeats: int) -> dict[str, Any]:
    arms = _arms(method, size, batch, teacher_channels)
    for arm in arms.values():
        arm()
    shortest = dict.fromkeys(arms, math.inf)
    for _ in range(repeats):
        for name, arm in arms.items():
            start = time.process_time()
            arm()
            shortest[name] = min(shortest[name], 1000 * (time.process_time() - start))
    discriminator, step = shortest["critic"] + shortest["passage"], shortest["step"] + shortest["critic"]
    row = {
        "method": method,
        "ratio": round((step - discriminator) / (shortest["student"] + shortest["teacher"]), 3),
        "student_ms": round(shortest["student"], 1),
        "teacher_ms": round(shortest["teacher"], 1),
        "discriminator_ms": round(discriminator, 1),
        "step_ms": round(step, 1),
    }
    logger.info("  ".join(f"{key} {value}" for key, value in row.items()))
    return row


def _arms(method: str, size: Sequence[int], batch: int, teacher_channels: int) -> Mapping[str, Callable[[], Any]]:
    """What is measured, by name. The discriminator's own step stands after the step that feeds it."""
    torch.manual_seed(0)
    dims = len(size)
    # channels innermost in memory, as the bundle trains
    layout = torch.channels_last if dims == 2 else torch.channels_last_3d
    student, wide = ThinUNet(dims), UNet(dims, base_channels=teacher_channels)
    for network in (student, wide):
        network.to(memory_format=layout)  # type: ignore[call-overload]
    teacher = Teacher(wide)
    alone = copy.deepcopy(student)
    stored = method == SOFT_LABELS_ROW
    name = "kd" if stored else method
    distiller = Distiller(student, teacher, name, head="sigmoid", probe_shape=(1, 1, *size), soft_labels=stored)
    image = torch.randn(batch, 1, *size)
    data = {"image": image, "label": disc(size).float().expand(batch, 1, *size)}
    if stored:
        data["soft_labels"] = teacher(image).sigmoid()
    trainer = new_trainer(distiller, [data])
    adam = torch.optim.Adam([{"params": distiller.discriminator_parameters()}], lr=3e-5, betas=(0.9, 0.99))
    discriminator = DiscriminatorStep(distiller, adam)
    optimizer, loss = torch.optim.AdamW(alone.parameters()), SegmentationLoss("sigmoid")
    passages = [_passage(name, term, distiller, data) for name, term in distiller.adversaries()]
    return {
        "student": lambda: _student_step(alone, optimizer, loss, data),
        "teacher": lambda: None if stored else teacher(image),
        "step": lambda: trainer._iteration(trainer, data),
        "critic": lambda: discriminator(trainer) if passages else None,
        "passage": lambda: [passage() for passage in passages],
    }


def _student_step(
    network: nn.Module, optimizer: torch.optim.Optimizer, loss: nn.Module, data: Mapping[str, Tensor]
) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss(network(data["image"]), data["label"]).backward()
    optimizer.step()


def _passage(name: str, term: AdversarialLoss, distiller: Distiller, data: Mapping[str, Tensor]) -> Callable[[], None]:
    """Scores of the student's output and their gradient for it: what a discriminator costs in the student's step."""
    with torch.no_grad():
        taps = distiller.recorder(data["image"])[1]
        seen = term.pair([taps[tap] for tap in distiller.routes[name][0]], data["label"])
    return lambda: critic(term.discriminator, seen.detach().requires_grad_(True)).mean().backward()
