"""What every loss of this room has in common: the call, the label convention, ignored voxels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdseg.errors import UserError, suggestion

__all__ = [
    "IGNORED",
    "ClassRelationLoss",
    "DistillationLoss",
    "Head",
    "masked_mean",
    "one_hot_label",
    "position_classes",
    "probabilities",
    "resize",
    "resize_label",
]

Head = Literal["softmax", "sigmoid"]

IGNORED = 255
"""Label value of voxels that no loss and no metric looks at."""


class DistillationLoss(nn.Module):
    """A term of a distillation method: compares taps of the student with taps of the teacher.

    Subclasses say with class attributes what they need and promise; every call is checked against the first two:

    - ``needs_labels``: the label map enters the formula;
    - ``smallest_batch``: images that a batch must have, for relations between images;
    - ``zero_when_equal``: the smallest value is 0, and taken where the student equals the teacher;
    - ``batch_invariant``: a batch in which every image comes twice has the same value (means over images, not sums or
      relations between images);
    - ``extra_parts``: what it brings along beside the two networks, for the table of methods.

    Parts whose shape depends on the taps (adapters, discriminators) are made in :meth:`build`, from one probe forward.

    Args:
        head: "softmax" (classes exclude each other, K ≥ 2 channels) or "sigmoid" (each channel is its own yes or no).
    """

    needs_labels: bool = False
    smallest_batch: int = 1
    zero_when_equal: bool = True
    batch_invariant: bool = True
    extra_parts: tuple[str, ...] = ()

    def __init__(self, head: Head = "softmax") -> None:
        super().__init__()
        if head not in ("softmax", "sigmoid"):
            raise UserError(
                "head",
                found=repr(head),
                expected="softmax or sigmoid",
                fix=suggestion(str(head), ["softmax", "sigmoid"]),
            )
        self.head: Head = head
        # a hook, so that no loss can forget it
        self.register_forward_pre_hook(_check_call, with_kwargs=True)

    def see_teacher(self, modules: Sequence[nn.Module | None]) -> None:
        """Called before :meth:`build` with the teacher's modules whose outputs are the taps.

        For losses that read the teacher's weights, as OFD its normalisation layers. None stands for a tap that is no
        module's output (the logits, a module's input). A loss must not keep the modules: it would save them as its own.
        """

    def build(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
        """Make the parts whose shapes come from the taps. Called once, with the taps of a probe forward."""

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        """The loss as a scalar.

        Args:
            student: the student's taps, in the order of the term, each ``BCNH[WD]``.
            teacher: the teacher's taps in the same order; they carry no gradient.
            label: ``B1H[WD]`` label map (softmax head) or ``BKH[WD]`` binary maps (sigmoid head), 255 where ignored.
        """
        raise NotImplementedError


def _check_call(loss: nn.Module, positional: tuple[Any, ...], named: dict[str, Any]) -> None:
    """Refuse a batch that is too small for the loss, or without the labels that it needs."""
    assert isinstance(loss, DistillationLoss)
    student = positional[0] if positional else named["student"]
    label = positional[2] if len(positional) > 2 else named.get("label")
    if loss.needs_labels and label is None:
        raise UserError(
            f"the term {type(loss).__name__}",
            found="a batch without labels",
            expected="labels, 255 where they are not known",
            fix="set the term's weight to 0, or label the images",
        )
    if len(student[0]) < loss.smallest_batch:
        raise UserError(
            f"the term {type(loss).__name__}",
            found=f"a batch of {len(student[0])}",
            expected=f"a batch of {loss.smallest_batch} images or more, since it relates images to one another",
            fix="raise batch_size, drop the last incomplete batch, or set the term's weight to 0",
        )


def probabilities(logits: Tensor, head: Head) -> Tensor:
    """Class probabilities ``BKH[WD]`` of logits of the same shape."""
    return logits.softmax(1) if head == "softmax" else logits.sigmoid()


def resize(features: Tensor, size: Sequence[int]) -> Tensor:
    """Linear resizing of ``BCH[WD]`` to the spatial ``size``; the same tensor where nothing changes.

    Example:
        >>> resize(torch.zeros(1, 2, 4, 4, 4), (2, 2, 2)).shape
        torch.Size([1, 2, 2, 2, 2])
    """
    if tuple(features.shape[2:]) == tuple(size):
        return features
    mode = {3: "linear", 4: "bilinear", 5: "trilinear"}[features.ndim]
    return F.interpolate(features, size=tuple(size), mode=mode, align_corners=False)


def resize_label(label: Tensor, size: Sequence[int]) -> Tensor:
    """Nearest-neighbour resizing of a label map ``B?H[WD]`` to the spatial ``size``."""
    if tuple(label.shape[2:]) == tuple(size):
        return label
    return F.interpolate(label.float(), size=tuple(size), mode="nearest").to(label.dtype)


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


def position_classes(label: Tensor, size: Sequence[int], head: Head) -> Tensor:
    """Which positions of a tap are of one class: ``BN`` numbers 0, 1, …, and −1 where the label is 255.

    Args:
        label: ``B1H[WD]`` class numbers (softmax) or ``BKH[WD]`` binary maps (sigmoid), 255 where ignored. Two
            positions of a sigmoid label are of one class where all channels agree; the numbers hold within the batch.
        size: spatial size of the tap; the label is resized to it, nearest neighbour.
        head: see :class:`DistillationLoss`.

    Example:
        >>> position_classes(torch.tensor([[[0, 1, 255, 1]], [[0, 0, 0, 0]]]), (4,), "softmax").tolist()
        [[0, 1, -1, 1], [0, 0, 0, 0]]
    """
    label = resize_label(label, size).flatten(2).long()
    valid = (label != IGNORED).all(1)
    if head == "softmax":
        classes = label[:, 0]
    else:
        codes = (label.clamp(0, 1) << torch.arange(label.shape[1], device=label.device).unsqueeze(1)).sum(1)
        classes = codes.unique(return_inverse=True)[1]
    return torch.where(valid, classes, -1)


class ClassRelationLoss(DistillationLoss):
    """A term over the positions of a tap and their classes, :meth:`distance`, summed over the taps.

    The label comes to each tap's size; a teacher's tap of another size is resized to the student's.

    Args:
        head: with "sigmoid", two positions are of one class where all channels of the label agree.
    """

    needs_labels = True

    def distance(self, student: Tensor, teacher: Tensor, classes: Tensor) -> Tensor:
        """The value of one tap, both ``BCH[WD]``, with the positions' classes ``BN``, −1 where ignored."""
        raise NotImplementedError

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        assert label is not None, "the call is checked: needs_labels"
        values = []
        for tap_s, tap_t in zip(student, teacher, strict=True):
            size = tap_s.shape[2:]
            values.append(self.distance(tap_s, resize(tap_t, size), position_classes(label, size, self.head)))
        return torch.stack(values).sum()


def masked_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """Mean of ``B?H[WD]`` values over the voxels where the ``B1H[WD]`` mask is 1; zero where there are none."""
    if mask is None:
        return values.mean()
    mask = mask.to(values.dtype).expand_as(values)
    return (values * mask).sum() / mask.sum().clamp_min(1.0)
