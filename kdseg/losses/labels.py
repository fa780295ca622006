"""The conventions of labels and heads that every loss shares: ignored voxels, classes as maps, probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from kdseg.errors import UserError
from kdseg.losses.sizes import areas

__all__ = [
    "IGNORED",
    "Head",
    "class_membership",
    "class_regions",
    "cross_entropy",
    "masked_mean",
    "one_hot_label",
    "probabilities",
]

Head = Literal["softmax", "sigmoid"]

IGNORED = 255
"""Label value of voxels that no loss and no metric looks at."""


def probabilities(logits: Tensor, head: Head) -> Tensor:
    """Class probabilities ``BKH[WD]`` of logits of the same shape."""
    return logits.softmax(1) if head == "softmax" else logits.sigmoid()


def one_hot_label(label: Tensor, classes: int, head: Head) -> tuple[Tensor, Tensor]:
    """Turn a label into ``BKH[WD]`` floats and the mask ``B1H[WD]`` of voxels that count.

    Args:
        label: ``B1H[WD]`` class numbers (softmax) or ``BKH[WD]`` binary maps (sigmoid), 255 where ignored.
        classes: K.
        head: see :class:`DistillationLoss`.

    Raises:
        UserError: when a sigmoid label has not K channels, or a softmax label not one.

    Example:
        >>> one_hot_label(torch.tensor([[[1, 255]]]), 2, "softmax")[0].tolist()
        [[[0.0, 0.0], [1.0, 0.0]]]
    """
    channels = 1 if head == "softmax" else classes
    if label.shape[1] != channels:
        raise UserError(
            "label",
            found=f"shape {tuple(label.shape)}",
            expected=f"{channels} channel(s) for a {head} head of {classes} class(es)",
            fix="convert the label in the bundle's preprocessing",
        )
    valid = (label != IGNORED).all(dim=1, keepdim=True)
    clean = torch.where(valid, label, torch.zeros_like(label))
    if head == "sigmoid":
        return clean.float(), valid.float()
    # compared class by class: scatter would fail on a label outside the classes, far from its cause
    numbers = torch.arange(classes, device=label.device).view(1, -1, *[1] * (label.ndim - 2))
    return ((clean == numbers) & valid).float(), valid.float()


def cross_entropy(logits: Tensor, target: Tensor, head: Head) -> Tensor:
    """Cross-entropy of every voxel with target probabilities ``BKH[WD]``: ``B1H[WD]``, ``BKH[WD]`` for "sigmoid"."""
    if head == "softmax":
        return -(F.log_softmax(logits, 1) * target).sum(1, keepdim=True)
    return F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype), reduction="none")


def class_regions(label: Tensor, regions: int, head: Head) -> Tensor:
    """Which voxels belong to which region, ``BRH[WD]`` floats: the classes of a softmax head; for a sigmoid head the
    channels, and last what none of them covers.

    Args:
        label: see :func:`one_hot_label`.
        regions: R, the number of classes, or of channels and one more.
        head: see :class:`DistillationLoss`.
    """
    if head == "softmax":
        return one_hot_label(label, regions, head)[0]
    covered, valid = one_hot_label(label, regions - 1, head)
    return torch.cat([covered, valid - covered.amax(1, keepdim=True)], 1)


def class_membership(label: Tensor, size: Sequence[int], head: Head) -> Tensor:
    """How much of each position of a tap belongs to each class, by area: ``BKN``.

    The sum over the classes is the share of the position whose label is not 255. A vessel that covers an eighth of a
    position belongs to it by an eighth, where the nearest voxel would lose it seven times of eight.

    Args:
        label: ``B1H[WD]`` class numbers (softmax) or ``BKH[WD]`` binary maps (sigmoid), 255 where ignored. With a
            sigmoid label a class is a combination of the channels; the numbers hold within the batch.
        size: spatial size of the tap.
        head: see :class:`DistillationLoss`.

    Example:
        >>> class_membership(torch.tensor([[[0, 1, 255, 1]]]), (2,), "softmax").tolist()
        [[[0.5, 0.0], [0.5, 0.5]]]
    """
    valid = (label != IGNORED).all(1, keepdim=True)
    if head == "softmax":
        numbers = torch.where(valid, label, 0)
    else:
        bits = torch.arange(label.shape[1], device=label.device).view(1, -1, *[1] * (label.ndim - 2))
        numbers = (torch.where(valid, label, 0).long().clamp(0, 1) << bits).sum(1, keepdim=True)
        numbers = numbers.unique(return_inverse=True)[1]
    member = torch.cat([numbers == number for number in range(int(numbers.max()) + 1)], 1) & valid
    return areas(member.float(), size).flatten(2)


def masked_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """Mean of ``B?H[WD]`` values over the voxels where the ``B1H[WD]`` mask is 1; zero where there are none."""
    if mask is None:
        return values.mean()
    mask = mask.to(values.dtype).expand_as(values)
    return (values * mask).sum() / mask.sum().clamp_min(1.0)
