"""The network as a graph: exported once by torch, with every size free that the network allows."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from kdseg.errors import UserError, reason_of
from kdseg.task import Task

__all__ = ["SIDES", "exported_program", "quiet_exporter"]

SIDES = ("width", "height", "depth")
"""Names of the spatial axes, in the order in which the network is fed."""


@contextmanager
def quiet_exporter() -> Iterator[None]:
    """Keep out what torch's exporters say of themselves and of packages that nobody asked for."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def exported_program(task: Task, network: nn.Module, size: Sequence[int]) -> tuple[Any, tuple[int | str, ...]]:
    """The network as ``torch.export`` writes it: with free batch and sides, else with free batch, else with neither.

    Args:
        task: sides are free in multiples of its ``divisible``.
        network: in eval mode, on the CPU.
        size: spatial size of an input, which stays where sides cannot be free.

    Returns:
        the program, and the shape of its input, with names where it is free: ``("batch", 1, "16*width", …)``.

    Raises:
        UserError: for a network that torch cannot export at all.
    """
    unit = task.divisible
    sides = SIDES[: len(size)]
    batch = {0: torch.export.Dim("batch")}
    # torch takes a size of 1 for a constant, so that a single unit cannot be free
    large = [max(side, 2 * unit) for side in size]
    attempts: list[tuple[Sequence[int], dict[int, Any], tuple[int | str, ...]]] = [
        ((2, *size), batch, ("batch", task.in_channels, *size)),
        ((1, *size), {}, (1, task.in_channels, *size)),
    ]
    if all(side % unit == 0 for side in size):
        free = {axis: _multiple(unit, name) for axis, name in enumerate(sides, start=2)}
        names = [f"{unit}*{name}" if unit > 1 else name for name in sides]
        attempts.insert(0, ((2, *large), batch | free, ("batch", task.in_channels, *names)))
    first: Exception | None = None
    for (count, *lengths), dynamic, shape in attempts:
        example = torch.zeros(count, task.in_channels, *lengths)
        try:
            with quiet_exporter(), torch.no_grad():
                program = torch.export.export(network, (example,), dynamic_shapes=(dynamic,) if dynamic else None)
        except Exception as error:
            # whatever a network of the user's runs into: with fewer free sizes it may be exported
            first = first or error
            continue
        for node in program.graph.nodes:
            # where the source lies on this machine is nobody's business
            node.meta.pop("stack_trace", None)
        return program, shape
    assert first is not None
    raise UserError(
        f"network '{task.network['name']}'",
        found=f"that torch cannot export it ({reason_of(first)[:300]})",
        expected="a network whose operations do not depend on the values of an image",
        fix="use --to torchscript, or change the network",
    ) from first


def _multiple(unit: int, name: str) -> Any:
    free = torch.export.Dim(name)
    return unit * free if unit > 1 else free
