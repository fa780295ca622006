"""The network of a task, and how it goes over an image."""

from __future__ import annotations

import torch
from monai.inferers import Inferer, SliceInferer, SlidingWindowInferer
from torch import nn

from kdseg.inferers import TrustedCentreInferer, WholeImageInferer
from kdseg.networks import build_network
from kdseg.task.task import Task

__all__ = ["inferer", "memory_format", "network"]


def network(task: Task) -> nn.Module:
    """The task's network with fresh weights.

    Raises:
        UserError: when it has no such network or setting, or cannot be imported.
    """
    settings = {key: value for key, value in task.network.items() if key != "name"}
    channels = {"in_channels": task.in_channels, "out_channels": task.out_channels}
    return build_network(task.network["name"], spatial_dims=task.dimensions, **channels, **settings)


def inferer(task: Task) -> Inferer:
    """Whole pictures, tiles, slices of a volume, or windows of one."""
    if task.patch_size is None:
        return WholeImageInferer(task.divisible)
    if task.kind == "picture":
        return TrustedCentreInferer(task.patch_size, task.border)
    if task.dimensions == 2:
        return SliceInferer(roi_size=task.patch_size, spatial_dim=2, sw_batch_size=8)
    return SlidingWindowInferer(task.patch_size, sw_batch_size=2, overlap=task.overlap, mode="gaussian")


def memory_format(task: Task) -> torch.memory_format:
    """Channels last, which convolutions are faster with."""
    return torch.channels_last if task.dimensions == 2 else torch.channels_last_3d
