"""What every loss of this room has in common: the call, the label convention, ignored voxels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdseg.errors import UserError, suggestion
from kdseg.losses.adapters import Adapter, channel_adapters

__all__ = [
    "IGNORED",
    "ClassRelationLoss",
    "DistillationLoss",
    "Head",
    "TapwiseLoss",
    "areas",
    "class_membership",
    "class_regions",
    "cross_entropy",
    "masked_mean",
    "one_hot_label",
    "pooled",
    "probabilities",
    "resize",
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
    - ``largest_weight``: above it the term makes no sense; its weight is then not a share of the gradient either;
    - ``extra_parts``: what it brings along beside the two networks, for the table of methods.

    Parts whose shape depends on the taps (adapters, discriminators) are made in :meth:`build`, from one probe forward.

    Args:
        head: "softmax" (classes exclude each other, K ≥ 2 channels) or "sigmoid" (each channel is its own yes or no).
    """

    needs_labels: bool = False
    smallest_batch: int = 1
    zero_when_equal: bool = True
    batch_invariant: bool = True
    largest_weight: float = math.inf
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


def areas(maps: Tensor, size: Sequence[int]) -> Tensor:
    """``BCH[WD]`` maps at another spatial size: the mean over what each position covers."""
    return maps if tuple(maps.shape[2:]) == tuple(size) else F.interpolate(maps, size=tuple(size), mode="area")


def pooled(tap: Tensor, positions: int) -> Tensor:
    """``BCH[WD]`` mean-pooled to ``positions`` positions at most.

    Example:
        >>> pooled(torch.zeros(1, 2, 8, 8), 20).shape
        torch.Size([1, 2, 4, 4])
    """
    factor = 1
    while math.prod(max(1, side // factor) for side in tap.shape[2:]) > positions:
        factor += 1
    return areas(tap, [max(1, side // factor) for side in tap.shape[2:]])


class TapwiseLoss(DistillationLoss):
    """A term that compares tap by tap: the sum of :meth:`distance` over its taps.

    Subclasses say with class attributes what happens to the taps before:

    - ``adapter``: which adapter brings the student's taps to the teacher's widths where they differ; None for none;
    - ``resized``: a teacher's tap of another size is resized to the student's.

    With ``positions``, which a subclass may take as a setting, larger maps are mean-pooled to so many positions first.
    """

    adapter: ClassVar[Adapter | None] = None
    resized: ClassVar[bool] = True
    positions: int | None = None

    def __init__(self, head: Head = "softmax") -> None:
        super().__init__(head)
        self.adapters = nn.ModuleList()

    def build(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
        if self.adapter is not None:
            self.adapters = channel_adapters(student, teacher, self.adapter)

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        """The value of one tap."""
        raise NotImplementedError

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        if self.positions is not None:
            student = [pooled(tap, self.positions) for tap in student]
            teacher = [areas(tap, own.shape[2:]) for own, tap in zip(student, teacher, strict=True)]
        if self.adapter is not None:
            student = [adapter(tap) for adapter, tap in zip(self.adapters, student, strict=True)]
        if self.resized:
            teacher = [resize(tap, own.shape[2:]) for own, tap in zip(student, teacher, strict=True)]
        return torch.stack([self.distance(own, tap) for own, tap in zip(student, teacher, strict=True)]).sum()


class ClassRelationLoss(DistillationLoss):
    """A term over the positions of a tap and their classes, :meth:`distance`, summed over the taps.

    The label comes to each tap's size by area; a teacher's tap of another size is resized to the student's.

    Args:
        head: with "sigmoid", two positions are of one class where all channels of the label agree.
    """

    needs_labels = True

    def distance(self, student: Tensor, teacher: Tensor, membership: Tensor) -> Tensor:
        """The value of one tap, both ``BCH[WD]``, with the positions' :func:`class_membership` ``BKN``."""
        raise NotImplementedError

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        assert label is not None, "the call is checked: needs_labels"
        values = []
        for tap_s, tap_t in zip(student, teacher, strict=True):
            size = tap_s.shape[2:]
            values.append(self.distance(tap_s, resize(tap_t, size), class_membership(label, size, self.head)))
        return torch.stack(values).sum()


def masked_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """Mean of ``B?H[WD]`` values over the voxels where the ``B1H[WD]`` mask is 1; zero where there are none."""
    if mask is None:
        return values.mean()
    mask = mask.to(values.dtype).expand_as(values)
    return (values * mask).sum() / mask.sum().clamp_min(1.0)
