"""Cross-image relations (CIRKD, CVPR 2022, arXiv 2204.06986): positions against other images' and a memory's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from monai.utils import evenly_divisible_all_gather
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from kdseg.errors import UserError, suggestion
from kdseg.losses.adapters import channel_adapter
from kdseg.losses.base import DistillationLoss, TapwiseLoss
from kdseg.losses.labels import Head, class_regions
from kdseg.losses.sizes import areas, pooled

__all__ = ["CrossImageLoss", "MemoryLoss", "relation_divergence"]

_ROWS = 2**22
"""Entries of the similarity matrix that exist at one time."""


def relation_divergence(
    student: Tensor, teacher: Tensor, keys_student: Tensor, keys_teacher: Tensor, temperature: float
) -> Tensor:
    r"""``mean_i KL(softmax_j(a_i·k_j/τ)_T ‖ softmax_j(a_i·k_j/τ)_S)``: rows of similarities, teacher against student.

    A softmax has no channel-product form, so the rows are made in chunks, and made again in the backward pass: memory
    stays that of one chunk.

    Args:
        student, teacher: anchors ``M × C_s`` and ``M × C_t``, of length one.
        keys_student, keys_teacher: ``J × C_s`` and ``J × C_t``, of length one.
        temperature: τ > 0.

    Example:
        >>> a = F.normalize(torch.randn(6, 4), dim=1)
        >>> relation_divergence(a, a, a, a, 0.1).item() < 1e-6
        True
    """
    total = student.new_zeros(())
    step = max(1, _ROWS // len(keys_student))
    for start in range(0, len(student), step):
        rows = slice(start, start + step)
        total = total + checkpoint(
            _rows, student[rows], teacher[rows], keys_student, keys_teacher, temperature, use_reentrant=False
        )
    return total / len(student)


def _rows(student: Tensor, teacher: Tensor, keys_student: Tensor, keys_teacher: Tensor, temperature: float) -> Tensor:
    log_s = F.log_softmax(student @ keys_student.T / temperature, 1)
    log_t = F.log_softmax(teacher @ keys_teacher.T / temperature, 1)
    return (log_t.exp() * (log_t - log_s)).sum()


class CrossImageLoss(TapwiseLoss):
    """Mini-batch pixel-to-pixel relations: for every two images i, j of the batch, each position of i against all of j.

    The mean of :func:`relation_divergence` over the B² pairs of images (the authors' code takes i = j in, too), summed
    over the taps. Time grows with the square of the number of positions: maps with more than ``positions`` are
    mean-pooled [default].

    Args:
        temperature: τ of the rows of cosines; 0.1 is the authors' code's.
        positions: the most positions of an image that are compared.
        head: unused by this term.
    """

    smallest_batch = 2

    def __init__(self, temperature: float = 0.1, positions: int = 256, head: Head = "softmax") -> None:
        super().__init__(head)
        self.temperature = _checked(temperature)
        self.positions = positions

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        images_s, images_t = _unit_vectors(student), _unit_vectors(teacher)
        anchors_s, anchors_t = images_s.flatten(0, 1), images_t.flatten(0, 1)
        divergences = [
            relation_divergence(anchors_s, anchors_t, keys_s, keys_t, self.temperature)
            for keys_s, keys_t in zip(images_s, images_t, strict=True)
        ]
        return torch.stack(divergences).mean()


class MemoryLoss(DistillationLoss):
    """Relations to a memory of the teacher's vectors: :func:`relation_divergence` of each position against the memory.

    For every class a ring of ``entries`` vectors of length one; a training batch first puts in its own, either single
    positions drawn at random ("pixel") or the mean of each class in each image ("region"). The student's tap comes to
    the teacher's width by a 1×1 convolution where they differ. Taps: one tap of features, then ``logits`` for the
    number of classes. The memory is saved for resume; all processes of a multi-GPU training have the same.

    Differences from the authors' code: all of a smaller memory serves as keys (there a sample of 4096 from 20,000
    vectors a class); the adapter is one convolution rather than two.

    Args:
        memory: "pixel" or "region".
        entries: vectors a class.
        draws: positions that an image adds for each class it has ("pixel").
        temperature: τ of the rows of cosines.
        positions: the most positions of an image that are compared; larger maps are mean-pooled [default].
        head: with "sigmoid", what no channel covers is a class of its own.
    """

    needs_labels = True
    batch_invariant = False

    keys: Tensor
    filled: Tensor
    added: Tensor

    def __init__(
        self,
        memory: Literal["pixel", "region"] = "pixel",
        entries: int = 256,
        draws: int = 16,
        temperature: float = 0.1,
        positions: int = 256,
        head: Head = "softmax",
    ) -> None:
        super().__init__(head)
        if memory not in ("pixel", "region"):
            fix = suggestion(str(memory), ["pixel", "region"])
            raise UserError("memory", found=repr(memory), expected="pixel or region", fix=fix)
        if entries < 1 or draws < 1:
            found = f"entries {entries}, draws {draws}"
            raise UserError("memory of CIRKD", found=found, expected="1 or more", fix="leave the settings out")
        self.memory = memory
        self.entries = entries
        self.draws = draws
        self.positions = positions
        self.temperature = _checked(temperature)

    def build(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
        if len(student) != 2:
            fix = 'name a tap of features and "logits"'
            raise UserError("taps of the memory term", found=f"{len(student)} taps", expected="two", fix=fix)
        width = teacher[0].shape[1]
        classes = student[1].shape[1] + (self.head == "sigmoid")
        self.adapter = channel_adapter(student[0], width)
        self.register_buffer("keys", teacher[0].new_zeros(classes, self.entries, width))
        self.register_buffer("filled", torch.zeros(classes, self.entries, dtype=torch.bool))
        self.register_buffer("added", torch.zeros(classes, dtype=torch.long))

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        assert label is not None
        features = pooled(student[0], self.positions)
        size = features.shape[2:]
        anchors_s = _unit_vectors(self.adapter(features)).flatten(0, 1)
        images_t = _unit_vectors(areas(teacher[0], size)).detach()
        if self.training:
            self.remember(images_t, self._classes(label, size))
        keys = self.keys[self.filled]
        if not len(keys):
            return anchors_s.sum() * 0
        return relation_divergence(anchors_s, images_t.flatten(0, 1), keys, keys, self.temperature)

    @torch.compiler.disable
    @torch.no_grad()
    def remember(self, vectors: Tensor, classes: Tensor) -> None:
        """Put the teacher's ``B × N × C`` vectors into the rings of their ``B × N`` classes (−1: none).

        Every process puts in those of all: the memories stay equal, whichever of them DDP hands on and a checkpoint
        keeps.
        """
        chosen, numbers = [vectors[0, :0]], [classes[0, :0]]
        for image, of in zip(vectors, classes, strict=True):
            for c in of.unique().tolist():
                if c < 0:
                    continue
                own = image[of == c]
                if self.memory == "region":
                    own = F.normalize(own.mean(0, keepdim=True), dim=1, eps=1e-6)
                else:
                    own = own[torch.randperm(len(own), device=own.device)[: self.draws]]
                chosen.append(own)
                numbers.append(of.new_full((len(own),), c))
        entries = evenly_divisible_all_gather(torch.cat(chosen), concat=True)
        owners = evenly_divisible_all_gather(torch.cat(numbers), concat=True)
        for c in owners.unique().tolist():
            own = entries[owners == c]
            ring = (self.added[c] + torch.arange(len(own), device=own.device))[-self.entries :] % self.entries
            # replaced as a whole: the backward pass of an earlier call may still need what was there
            rows = own[-self.entries :].to(self.keys)
            self.keys = self.keys.index_put((torch.full_like(ring, c), ring), rows)
            self.filled[c, ring] = True
            self.added[c] += len(own)

    def _classes(self, label: Tensor, size: Sequence[int]) -> Tensor:
        """``BN`` numbers: the class that has most of a position, as against its share of the batch; −1 for none.

        The largest class alone would leave a position nothing but background where vessels are thinner than it.
        """
        regions = class_regions(label, len(self.added), self.head)
        member = areas(regions, size).flatten(2)
        usual = member.mean((0, 2)).clamp_min(1e-6).view(1, -1, 1)
        return torch.where(member.amax(1) > 0, (member / usual).argmax(1), -1)


def _unit_vectors(tap: Tensor) -> Tensor:
    """``BCH[WD]`` as ``B × N × C`` vectors of length one."""
    return F.normalize(tap.flatten(2).transpose(1, 2), dim=2, eps=1e-6)


def _checked(temperature: float) -> float:
    if temperature <= 0:
        raise UserError("temperature", found=str(temperature), expected="a number above 0", fix="use 0.1 to 1")
    return temperature
