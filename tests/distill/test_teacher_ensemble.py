"""Ensembles and class maps: exact, stable, and never all in memory."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import Tensor, nn

from kdseg.distill.teachers import ClassMap, ProbabilityMean
from kdseg.errors import UserError


def networks(count: int, classes: int, dims: int) -> list[nn.Module]:
    torch.manual_seed(0)
    kind = nn.Conv2d if dims == 2 else nn.Conv3d
    return [kind(1, classes, 1) for _ in range(count)]


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_an_ensemble_is_the_mean_of_the_probabilities(head: str, dims: int) -> None:
    members = networks(4, 3, dims)
    image = 3 * torch.randn(2, 1, *[4] * dims)
    activate = (lambda z: z.softmax(1)) if head == "softmax" else torch.sigmoid
    expected = torch.stack([activate(member(image)) for member in members]).mean(0)
    result = ProbabilityMean(members, head)(image)  # type: ignore[arg-type]
    torch.testing.assert_close(activate(result), expected)
    if head == "softmax":
        torch.testing.assert_close(result, expected.log())


def test_sure_members_stay_finite_and_exact() -> None:
    class Sure(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            return torch.full((1, 1, 2, 2), 200.0)

    result = ProbabilityMean([Sure(), Sure()], "sigmoid")(torch.zeros(1))
    torch.testing.assert_close(result, torch.full((1, 1, 2, 2), 200.0))


def test_no_members_logits_outlive_the_next_forward() -> None:
    alive: list[weakref.ref[Tensor]] = []
    most = 0

    class Member(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            nonlocal most
            gc.collect()
            most = max(most, sum(reference() is not None for reference in alive))
            logits = torch.randn(1, 2, 8, 8)
            alive.append(weakref.ref(logits))
            return logits

    with torch.no_grad():
        ProbabilityMean([Member() for _ in range(5)], "softmax")(torch.zeros(1))
    assert len(alive) == 5 and most == 0


def test_merged_softmax_classes_are_summed_and_the_rest_is_background() -> None:
    z = torch.randn(2, 5, 4, 4)
    p = z.softmax(1)
    mapped = ClassMap({"1": 1, "2": 1, "4": 2}, 3)(z).exp()
    torch.testing.assert_close(mapped, torch.stack([p[:, 0] + p[:, 3], p[:, 1] + p[:, 2], p[:, 4]], 1))


def test_merged_sigmoid_channels_give_the_largest() -> None:
    z = torch.randn(2, 4, 4, 4)
    mapped = ClassMap({0: 1, 1: 0, 3: 0}, 2, "sigmoid")(z)
    torch.testing.assert_close(mapped.sigmoid(), torch.stack([z[:, [1, 3]].sigmoid().amax(1), z[:, 0].sigmoid()], 1))


def test_a_softmax_teacher_of_a_sigmoid_student() -> None:
    z = torch.randn(2, 3, 4, 4)
    mapped = ClassMap({1: 0, 2: 0}, 1, "sigmoid", "softmax")(z)
    torch.testing.assert_close(mapped.sigmoid(), z.softmax(1)[:, 1:].sum(1, keepdim=True))


@pytest.mark.parametrize(
    ("class_map", "classes", "head", "told"),
    [
        ({"1": 1}, 3, "softmax", "no teacher class for the student's class 2"),
        ({"1": 3}, 3, "softmax", "the student class 3"),
        ({"vessel": 1}, 2, "softmax", "numbers of classes"),
        ({"0": 1}, 2, "sigmoid", "no teacher class for the student's class 0"),
    ],
)
def test_wrong_maps_are_refused(class_map: dict[str, int], classes: int, head: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        ClassMap(class_map, classes, head)  # type: ignore[arg-type]


def test_maps_that_do_not_fit_the_teacher_are_refused() -> None:
    with pytest.raises(UserError, match="the teacher class 5"):
        ClassMap({5: 1}, 2)(torch.zeros(1, 3, 2, 2))
    with pytest.raises(UserError, match="background"):
        ClassMap({0: 1, 1: 1}, 2)(torch.zeros(1, 2, 2, 2))
    with pytest.raises(UserError, match="stands for 'no'"):
        ClassMap({0: 0, 1: 0}, 1, "sigmoid", "softmax")(torch.zeros(1, 2, 2, 2))
    with pytest.raises(UserError, match="sigmoid teacher"):
        ClassMap({0: 1}, 2, "softmax", "sigmoid")
