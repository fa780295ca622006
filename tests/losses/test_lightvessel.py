"""The levels at which the feature similarity term compares."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kdseg.losses import FeatureSimilarityLoss


def taps(*widths: int) -> list[Tensor]:
    return [torch.randn(2, width, 6, 6) for width in widths]


def test_levels_of_unequal_width_are_left_out_where_others_agree() -> None:
    torch.manual_seed(0)
    student, teacher = taps(3, 3, 6, 3), taps(5, 5, 10, 5)
    loss = FeatureSimilarityLoss()
    loss.build(student, teacher)
    assert not list(loss.parameters())
    value = loss(student, teacher)
    first_level = (
        (nn.functional.cosine_similarity(*teacher[:2]) - nn.functional.cosine_similarity(*student[:2])).square().mean()
    )
    torch.testing.assert_close(value, first_level)
    assert loss([*student[:2], *taps(6, 3)], [*teacher[:2], *taps(10, 5)]) == value


def test_all_levels_count_where_none_agrees() -> None:
    torch.manual_seed(0)
    student, teacher = taps(3, 4, 6, 3), taps(5, 6, 10, 5)
    loss = FeatureSimilarityLoss()
    loss.build(student, teacher)
    trained = [parameter for parameter in loss.parameters() if parameter.requires_grad]
    assert len(trained) == 2
    value = loss(student, teacher)
    assert loss([*student[:2], *taps(6, 3)], teacher) != value


def test_a_width_must_agree_in_both_networks() -> None:
    student, teacher = taps(3, 3, 4, 4), taps(5, 6, 8, 8)
    loss = FeatureSimilarityLoss()
    loss.build(student, teacher)
    value = loss(student, teacher)
    assert loss([*taps(3, 3), *student[2:]], [*taps(5, 6), *teacher[2:]]) == value
