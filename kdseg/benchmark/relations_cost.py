"""What the exact relations save: time against the matrix of all pairs, memory, and the error in float32."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from kdseg.benchmark import disc, one_thread
from kdseg.losses.affinity import adaptive_affinity
from kdseg.losses.gram import gram_distance
from kdseg.losses.relations import cross_relation_distance, relation_distance, texture_distance

__all__ = ["benchmark_relations"]

_BATCH, _STUDENT, _TEACHER = 4, 16, 64
_DENSE_SIZES = ((32, 32), (64, 64))
_LARGE_SIZES = ((128, 128), (48, 48, 48))


@dataclass(frozen=True)
class _Relation:
    """A term in its exact form and in the form with the matrix of all pairs."""

    name: str
    exact: Callable[..., Tensor]
    dense: Callable[..., Tensor]
    same_width: bool = False
    taps: int = 1


def benchmark_relations(
    dense_sizes: Sequence[Sequence[int]] = _DENSE_SIZES, large_sizes: Sequence[Sequence[int]] = _LARGE_SIZES
) -> list[dict[str, Any]]:
    """Measure every relational term, forward and backward, on one thread of this machine's CPU.

    Args:
        dense_sizes: sizes at which the form with the matrix of all pairs is measured, too.
        large_sizes: sizes at which that form is out of reach; memory only.

    Returns:
        One dictionary a term and size: ``term``; ``positions``; ``speedup``, the time of the dense form over that of
        the exact one, null at large sizes; ``extra_mb``, the peak of memory beyond the features, the gradient
        among it; ``relative_error`` of value and gradient in float32 against the dense form in float64, the worst of a
        random teacher and of a teacher 1e-4 away from the student, null at large sizes.
    """
    sizes = [(size, True) for size in dense_sizes] + [(size, False) for size in large_sizes]
    with one_thread():
        return [_row(relation, size, compare) for relation in _relations() for size, compare in sizes]


def _row(relation: _Relation, size: Sequence[int], compare: bool) -> dict[str, Any]:
    torch.manual_seed(0)
    width = _STUDENT if relation.same_width else _TEACHER
    student = [torch.randn(_BATCH, _STUDENT, *size) for _ in range(relation.taps)]
    teacher = [torch.randn(_BATCH, width, *size) for _ in range(relation.taps)]
    speedup = error = None
    if compare:
        near = [tap + 1e-4 * torch.randn_like(tap) for tap in student]
        error = max(_relative_error(relation, student, other) for other in (teacher, near))
        exact, dense = _seconds(relation.exact, student, teacher, 9), _seconds(relation.dense, student, teacher, 2)
        speedup = dense / exact
    return {
        "term": relation.name,
        "positions": math.prod(size),
        "speedup": speedup,
        "extra_mb": _extra_megabytes(relation.exact, student, teacher),
        "relative_error": error,
    }


def _step(
    function: Callable[..., Tensor], student: list[Tensor], teacher: list[Tensor]
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Value and gradient."""
    student = [tap.detach().requires_grad_(True) for tap in student]
    value = function(*student, *teacher)
    return value.detach(), torch.autograd.grad(value, student)


def _seconds(function: Callable[..., Tensor], student: list[Tensor], teacher: list[Tensor], repeats: int) -> float:
    """The shortest of some steps: what else the machine does only adds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        _step(function, student, teacher)
        times.append(time.perf_counter() - start)
    return min(times)


def _extra_megabytes(function: Callable[..., Tensor], student: list[Tensor], teacher: list[Tensor]) -> float:
    """Peak of what torch allocates during a step."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        _step(function, student, teacher)
    held = peak = 0
    events = [event for event in record.profiler.kineto_results.events() if event.name() == "[memory]"]
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak / 1e6


def _relative_error(relation: _Relation, student: list[Tensor], teacher: list[Tensor]) -> float:
    # the dense form in float64 would need gigabytes for the whole batch
    student, teacher = ([tap[:1] for tap in taps] for taps in (student, teacher))
    value, gradients = _step(relation.exact, student, teacher)
    plain_value, plain_gradients = _step(
        relation.dense, [tap.double() for tap in student], [tap.double() for tap in teacher]
    )
    errors = [(value - plain_value).abs() / plain_value]
    errors += [(g - plain).norm() / plain.norm() for g, plain in zip(gradients, plain_gradients, strict=True)]
    return max(error.item() for error in errors)


def _relations() -> list[_Relation]:
    return [
        _Relation("affinity", partial(relation_distance, cosine=True), _dense_affinity),
        _Relation("adaptive affinity", lambda s, t: adaptive_affinity(s, t, _membership(s)), _dense_adaptive_affinity),
        _Relation("coco", partial(cross_relation_distance, cosine=True), _dense_crossed, taps=2),
        _Relation("nst", texture_distance, _dense_texture),
        _Relation("gram spatial", lambda s, t: gram_distance(s, t, "spatial"), _dense_gram_spatial, same_width=True),
    ]


def _membership(features: Tensor) -> Tensor:
    """A round foreground in the middle, as lesions and vessels are: ``B2N``, background and foreground."""
    inside = disc(features.shape[2:]).bool()
    return torch.stack([~inside, inside]).float().flatten(1).expand(len(features), -1, -1)


def _cosines(a: Tensor, b: Tensor) -> Tensor:
    a, b = F.normalize(a.flatten(2), dim=1), F.normalize(b.flatten(2), dim=1)
    return a.transpose(1, 2) @ b


def _dense_affinity(student: Tensor, teacher: Tensor) -> Tensor:
    return (_cosines(student, student) - _cosines(teacher, teacher)).square().mean()


def _dense_adaptive_affinity(student: Tensor, teacher: Tensor) -> Tensor:
    squares = (_cosines(student, student) - _cosines(teacher, teacher)).square()
    membership = _membership(student).to(squares)
    same = membership.transpose(1, 2) @ membership
    share = same.mean((1, 2))
    within = (squares * same).sum((1, 2)) / same.sum((1, 2))
    between = (squares * (1 - same)).sum((1, 2)) / (1 - same).sum((1, 2))
    return ((1 - share) * within + share * between).mean()


def _dense_crossed(a_student: Tensor, b_student: Tensor, a_teacher: Tensor, b_teacher: Tensor) -> Tensor:
    return (_cosines(a_student, b_student) - _cosines(a_teacher, b_teacher)).square().mean()


def _dense_texture(student: Tensor, teacher: Tensor) -> Tensor:
    s, t = (F.normalize(f.flatten(2), dim=2) for f in (student, teacher))
    grams = s.transpose(1, 2) @ s / s.shape[1] - t.transpose(1, 2) @ t / t.shape[1]
    return grams.square().sum((1, 2)).mean()


def _dense_gram_spatial(student: Tensor, teacher: Tensor) -> Tensor:
    s, t = student.flatten(2), teacher.flatten(2)
    grams = s.transpose(1, 2) @ s, t.transpose(1, 2) @ t
    return ((grams[0] - grams[1]).square().sum((1, 2)) / grams[1].square().sum((1, 2))).mean()
