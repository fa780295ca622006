"""What every loss of this room has in common: the call, its checks, and the two usual ways to go over taps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kdseg.errors import UserError, suggestion
from kdseg.losses.adapters import Adapter, channel_adapters
from kdseg.losses.labels import Head, class_membership
from kdseg.losses.sizes import areas, pooled, resize

__all__ = ["ClassRelationLoss", "DistillationLoss", "TapwiseLoss"]


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
