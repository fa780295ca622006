"""What the contract of a loss needs: taps of every kind, networks of every kind, and the registry of references.

To bring a new loss under the contract, write its formula in the plainest way in a file of ``tests/distill/references``:

    @reference("my_loss", {}, {"temperature": 4.0})  # the settings that the contract runs
    def my_loss(loss, student, teacher, label):
        return (student[0] - teacher[0]).square().mean()

``loss`` is the built module (for its settings and trained parts). Taps have the same shape on both sides there; the
taps themselves follow from the first method that uses the loss.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from kdseg.distill import LOSSES, METHODS, Distiller, Term
from kdseg.distill.taps import BEFORE
from kdseg.losses import DistillationLoss

Reference = Callable[[Any, list[Tensor], list[Tensor], Tensor], Tensor]

REFERENCES: dict[str, Reference] = {}
VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {}


def reference(name: str, *variants: dict[str, Any]) -> Callable[[Reference], Reference]:
    """Register the plain formula of the loss ``name`` and the settings under which the contract runs."""

    def register(function: Reference) -> Reference:
        REFERENCES[name] = function
        VARIANTS[name] = variants or ({},)
        return function

    return register


@dataclass(frozen=True)
class Case:
    """One loss under one set of settings, in 2-D or 3-D, with one kind of head."""

    name: str
    settings: Mapping[str, Any]
    dims: int
    head: str

    def __str__(self) -> str:
        settings = "-".join(f"{key}={value}" for key, value in self.settings.items())
        return "-".join(part for part in (self.name, settings, f"{self.dims}d", self.head) if part)

    @property
    def kind(self) -> type[DistillationLoss]:
        return LOSSES[self.name]

    @property
    def classes(self) -> int:
        return 3 if self.head == "softmax" else 2

    @property
    def batch(self) -> int:
        return max(2, self.kind.smallest_batch)


def loss_cases() -> list[Case]:
    """Every loss × its settings × {2-D, 3-D} × {softmax, sigmoid}."""
    return [
        Case(name, settings, dims, head)
        for name in LOSSES
        for settings in VARIANTS.get(name, ({},))
        for dims in (2, 3)
        for head in ("softmax", "sigmoid")
    ]


def term_of(name: str) -> Term:
    """The first term among the methods that uses the loss: it tells the taps and the usual settings."""
    for method in METHODS.values():
        for term in method.terms.values():
            if term.loss == name:
                return term
    raise AssertionError(f"no method in METHODS uses the loss {name!r}: the contract reads its taps from there")


@dataclass
class Setting:
    """A built loss with taps to call it on."""

    loss: Any
    student: list[Tensor]
    teacher: list[Tensor]
    label: Tensor

    def value(self, student: list[Tensor] | None = None, teacher: list[Tensor] | None = None, **other: Any) -> Tensor:
        """The loss, its draws (samples of pixels) seeded."""
        torch.manual_seed(0)
        label = other.get("label", self.label)
        return self.loss(student or self.student, teacher or self.teacher, label)


def setting(
    case: Case, *, seed: int = 0, batch: int | None = None, wide: bool = False, double: bool = False
) -> Setting:
    """Build the case's loss and draw taps.

    Args:
        case: the case.
        seed: of the weights and taps.
        batch: images; by default two, or as many as the loss needs.
        wide: the teacher is twice as wide and twice as large as the student.
        double: float64.
    """
    torch.manual_seed(seed)
    batch = case.batch if batch is None else batch
    dtype = torch.float64 if double else torch.float32
    term = term_of(case.name)
    shapes = list(_tap_shapes(term.taps, case))
    student = [torch.randn(batch, *shape, dtype=dtype, requires_grad=True) for _, shape in shapes]
    teacher = []
    for (tap, shape), tensor in zip(shapes, student, strict=True):
        if tap == "image":
            tensor.requires_grad_(False)
            teacher.append(tensor)
        elif wide and tap != "logits":
            teacher.append(torch.randn(batch, 2 * shape[0], *(2 * size for size in shape[1:]), dtype=dtype))
        else:
            teacher.append(torch.randn(batch, *shape, dtype=dtype))
    loss = case.kind(head=case.head, **{**term.settings, **case.settings})
    loss.build([x[:1].detach() for x in student], [x[:1] for x in teacher])
    given = Setting(loss.to(dtype), student, teacher, draw_label(case, batch, _label_size(term.taps, case)))
    if batch >= case.kind.smallest_batch:
        with torch.no_grad():
            given.value()  # a call in training, so that whatever remembers has something to remember
    return given


def draw_label(case: Case, batch: int, size: int) -> Tensor:
    """A random label of the case's head."""
    spatial = [size] * case.dims
    if case.head == "softmax":
        return torch.randint(0, case.classes, (batch, 1, *spatial))
    return torch.randint(0, 2, (batch, case.classes, *spatial))


def _label_size(taps: tuple[str, ...], case: Case) -> int:
    """Logits lie at the label's size; features at half of it, or at less."""
    return 8 if case.dims == 3 or set(taps) <= {"logits", "image"} else 16


def _tap_shapes(taps: tuple[str, ...], case: Case) -> Iterator[tuple[str, list[int]]]:
    several = [pattern for pattern in ("{level}", "{deeper}") if any(pattern in tap for tap in taps)]
    for pattern in several:
        taps = tuple(tap.replace(pattern, str(level)) for level in (1, 2) for tap in taps)
    taps = tuple(tap.replace("{deepest}", "3").replace("{finest}", "1").removesuffix(BEFORE) for tap in taps)
    levels = {tap: int(number[0]) for tap in taps if (number := re.findall(r"\d+$", tap))}
    full = _label_size(taps, case)
    for index, tap in enumerate(taps):
        if tap == "logits":
            yield tap, [case.classes] + [full] * case.dims
        elif tap == "image":
            yield tap, [1] + [full] * case.dims
        else:
            size = max(2, full // 2 ** (1 + levels.get(tap, 1) - min(levels.values(), default=1)))
            # pairs of equal width where only these count
            width = 2 + (index // 2 if case.name == "feature_similarity" else index) % 2
            yield tap, [width] + [size] * case.dims


class SmallNet(nn.Module):
    """A U-Net of four levels with every tap, quick enough for one test of every method in 3-D."""

    def __init__(self, dims: int = 2, classes: int = 2, widths: tuple[int, ...] = (2, 3, 4, 4), in_channels: int = 1):
        super().__init__()
        self.dims = dims
        convolution, norm = (nn.Conv2d, nn.BatchNorm2d) if dims == 2 else (nn.Conv3d, nn.BatchNorm3d)
        pool = nn.MaxPool2d if dims == 2 else nn.MaxPool3d

        def stage(inputs: int, outputs: int) -> nn.Module:
            return nn.Sequential(convolution(inputs, outputs, 3, padding=1), norm(outputs), nn.ReLU())

        self.pool = pool(2)
        self.up = nn.Upsample(scale_factor=2)
        self.encoder = nn.ModuleList(stage(i, o) for i, o in zip((in_channels, *widths), widths, strict=False))
        pairs = list(pairwise(widths))
        self.decoder = nn.ModuleList(stage(fine + deep, fine) for fine, deep in pairs)
        self.dropout = nn.Dropout(0.5)
        self.head = convolution(widths[0], classes, 1)
        self.taps = {f"enc{i + 1}": f"encoder.{i}" for i in range(len(widths))}
        self.taps |= {f"dec{i + 1}": f"decoder.{i}" for i in range(len(pairs))}

    def forward(self, image: Tensor) -> Tensor:
        x, skips = image, []
        for index, stage in enumerate(self.encoder):
            x = stage(self.pool(x) if index else x)
            skips.append(x)
        for index in reversed(range(len(self.decoder))):
            x = self.decoder[index](torch.cat([skips[index], self.up(x)], 1))
        return self.head(self.dropout(x))


@dataclass(frozen=True)
class MethodCase:
    """One method in 2-D or 3-D, with one kind of head."""

    name: str
    dims: int
    head: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name}-{self.dims}d-{self.head}"

    @property
    def classes(self) -> int:
        return 3 if self.head == "softmax" else 2

    @property
    def batch(self) -> int:
        return max(2, *(LOSSES[term.loss].smallest_batch for term in METHODS[self.name].terms.values()))

    def image(self, batch: int | None = None) -> Tensor:
        size = 32 if self.dims == 2 else 16
        return torch.randn(batch or self.batch, 1, *[size] * self.dims)

    def label(self, batch: int | None = None) -> Tensor:
        size = 32 if self.dims == 2 else 16
        channels, values = (1, self.classes) if self.head == "softmax" else (self.classes, 2)
        return torch.randint(0, values, (batch or self.batch, channels, *[size] * self.dims))

    def distiller(self, seed: int = 0, student: nn.Module | None = None, teacher: nn.Module | None = None) -> Distiller:
        torch.manual_seed(seed)
        student = student or SmallNet(self.dims, self.classes)
        teacher = teacher or SmallNet(self.dims, self.classes, (4, 6, 8, 8))
        shape = (1, *self.image(1).shape[1:])
        return Distiller(student, teacher, self.name, self.settings or None, head=self.head, probe_shape=shape)  # type: ignore[arg-type]


def method_cases() -> list[MethodCase]:
    """Every method × {2-D, 3-D} × {softmax, sigmoid}."""
    return [MethodCase(name, dims, head) for name in METHODS for dims in (2, 3) for head in ("softmax", "sigmoid")]
