"""Adapters: what lets a narrow student's tap be compared with a wide teacher's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kdseg.errors import UserError

__all__ = ["channel_adapter", "channel_adapters", "orthogonal_bridge"]


def channel_adapter(features: Tensor, channels: int, batch_norm: bool = False) -> nn.Module:
    """A trained 1×1 convolution from the width of ``features`` to ``channels``; nothing where the two agree.

    Sizes are another matter: the teacher's tap is resized to the student's with :func:`kdseg.losses.base.resize`.

    Args:
        features: a tap ``BCH[WD]`` of the probe; gives width, number of dimensions, device and dtype.
        channels: width that comes out.
        batch_norm: follow the convolution with batch normalisation (the convolution then has no bias).

    Example:
        >>> channel_adapter(torch.zeros(1, 2, 4, 4, 4), 3)(torch.zeros(2, 2, 8, 8, 8)).shape
        torch.Size([2, 3, 8, 8, 8])
        >>> channel_adapter(torch.zeros(1, 3, 4, 4), 3)
        Identity()
    """
    width, spatial_dims = features.shape[1], features.ndim - 2
    if width == channels:
        return nn.Identity()
    convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[spatial_dims - 1](width, channels, 1, bias=not batch_norm)
    if not batch_norm:
        return convolution.to(features)
    normalise = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[spatial_dims - 1](channels)
    return nn.Sequential(convolution, normalise).to(features)


def channel_adapters(student: Sequence[Tensor], teacher: Sequence[Tensor], batch_norm: bool = False) -> nn.ModuleList:
    """One :func:`channel_adapter` a tap, from the student's width to the teacher's.

    Raises:
        UserError: when the two lists differ in length.
    """
    if len(student) != len(teacher):
        found = f"{len(student)} for the student, {len(teacher)} for the teacher"
        raise UserError("taps of a term", found=found, expected="as many for both", fix="name them in pairs")
    return nn.ModuleList(channel_adapter(s, t.shape[1], batch_norm) for s, t in zip(student, teacher, strict=True))


def orthogonal_bridge(features: Tensor, channels: int) -> nn.Module:
    """A 1×1 convolution with orthonormal rows or columns, from the width of ``features`` to ``channels``.

    For terms that compare two taps of one network, or the networks through a space of neither. Nothing where the widths
    agree. The draw follows from the two widths alone: a student that equals its teacher gets the same bridge.

    Args:
        features: a tap ``BCH[WD]`` of the probe.
        channels: width that comes out.
    """
    width, spatial_dims = features.shape[1], features.ndim - 2
    if width == channels:
        return nn.Identity()
    bridge = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[spatial_dims - 1](width, channels, 1, bias=False)
    generator = torch.Generator().manual_seed(width * 65537 + channels)
    draw = torch.randn(channels, width, generator=generator, dtype=torch.float64)
    u, _, v = torch.linalg.svd(draw, full_matrices=False)
    with torch.no_grad():
        bridge.weight.copy_((u @ v).view_as(bridge.weight))
    return bridge.to(features)
