"""The levels at which the feature similarity term compares."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from kdseg.errors import UserError
from kdseg.losses import FeatureSimilarityLoss


def taps(*widths: int) -> list[Tensor]:
    return [torch.randn(2, width, 6, 6) for width in widths]


def test_levels_of_unequal_width_are_left_out() -> None:
    torch.manual_seed(0)
    student, teacher = taps(3, 3, 6, 3), taps(5, 5, 10, 5)
    loss = FeatureSimilarityLoss()
    loss.build(student, teacher)
    value = loss(student, teacher)
    first_level = (
        (nn.functional.cosine_similarity(*teacher[:2]) - nn.functional.cosine_similarity(*student[:2])).square().mean()
    )
    torch.testing.assert_close(value, first_level)
    assert loss([*student[:2], *taps(6, 3)], [*teacher[:2], *taps(10, 5)]) == value


@pytest.mark.parametrize("widths", [(3, 4, 6, 3), (3, 3, 6)])
def test_where_no_pair_is_equally_wide_the_term_is_refused(widths: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="pairs of an encoder and a decoder level of equal width"):
        FeatureSimilarityLoss().build(taps(*widths), taps(*widths))


def test_of_equal_widths_four_channels_or_more_are_preferred() -> None:
    torch.manual_seed(0)
    student, teacher = taps(2, 2, 4, 4), taps(8, 8, 16, 16)
    loss = FeatureSimilarityLoss()
    loss.build(student, teacher)
    value = loss(student, teacher)
    assert loss([*taps(2, 2), *student[2:]], teacher) == value
    assert loss([*student[:2], *taps(4, 4)], teacher) != value


def test_a_width_must_agree_in_both_networks() -> None:
    student, teacher = taps(3, 3, 4, 4), taps(5, 6, 8, 8)
    loss = FeatureSimilarityLoss()
    loss.build(student, teacher)
    value = loss(student, teacher)
    assert loss([*taps(3, 3), *student[2:]], [*taps(5, 6), *teacher[2:]]) == value
