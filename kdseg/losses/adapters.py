"""Adapters: what lets a narrow student's tap be compared with a wide teacher's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from kdseg.errors import UserError

__all__ = ["Adapter", "channel_adapter", "channel_adapters"]


Adapter = Literal["conv", "norm", "relu"]


def channel_adapter(features: Tensor, channels: int, kind: Adapter = "conv") -> nn.Module:
    """A trained 1×1 convolution from the width of ``features`` to ``channels``; nothing where the two agree.

    Sizes are another matter: the teacher's tap is resized to the student's with :func:`kdseg.losses.sizes.resize`.

    Args:
        features: a tap ``BCH[WD]`` of the probe; gives width, number of dimensions, device and dtype.
        channels: width that comes out.
        kind: "conv"; "norm", with batch normalisation after it, the convolution then without a bias; "relu", with a
            ReLU after that.

    Example:
        >>> channel_adapter(torch.zeros(1, 2, 4, 4, 4), 3)(torch.zeros(2, 2, 8, 8, 8)).shape
        torch.Size([2, 3, 8, 8, 8])
        >>> channel_adapter(torch.zeros(1, 3, 4, 4), 3)
        Identity()
    """
    width, spatial_dims = features.shape[1], features.ndim - 2
    if width == channels:
        return nn.Identity()
    convolution = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[spatial_dims - 1](width, channels, 1, bias=kind == "conv")
    if kind == "conv":
        return convolution.to(features)
    normalise = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[spatial_dims - 1](channels)
    return nn.Sequential(convolution, normalise, *[nn.ReLU()][: kind == "relu"]).to(features)


def channel_adapters(student: Sequence[Tensor], teacher: Sequence[Tensor], kind: Adapter = "conv") -> nn.ModuleList:
    """One :func:`channel_adapter` a tap, from the student's width to the teacher's.

    Raises:
        UserError: when the two lists differ in length.
    """
    if len(student) != len(teacher):
        found = f"{len(student)} for the student, {len(teacher)} for the teacher"
        raise UserError("taps of a term", found=found, expected="as many for both", fix="name them in pairs")
    return nn.ModuleList(channel_adapter(s, t.shape[1], kind) for s, t in zip(student, teacher, strict=True))
