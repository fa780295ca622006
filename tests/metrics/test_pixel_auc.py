from __future__ import annotations

import math
import time

import pytest
import torch
from monai.metrics import compute_roc_auc

from kdseg.metrics import pixel_auc


@pytest.mark.parametrize("levels", [4, 1000])
def test_agrees_with_monai_with_and_without_ties(levels: int) -> None:
    generator = torch.Generator().manual_seed(0)
    score = torch.randint(levels, (400,), generator=generator) / levels
    truth = (torch.rand(400, generator=generator) < score).long()
    assert pixel_auc(score, truth) == pytest.approx(compute_roc_auc(score, truth), abs=1e-6)


def test_constant_scores_are_worth_a_half_and_the_order_is_all_that_counts() -> None:
    truth = torch.tensor([[0, 1], [1, 0]])
    assert pixel_auc(torch.full((2, 2), 0.3), truth) == 0.5
    score = torch.tensor([[0.1, 0.9], [0.8, 0.2]])
    assert pixel_auc(score, truth) == 1
    assert pixel_auc(-score, truth) == 0
    assert pixel_auc(score.half(), truth) == 1


@pytest.mark.parametrize("value", [0, 1])
def test_one_class_alone_is_not_defined(value: int) -> None:
    assert math.isnan(pixel_auc(torch.rand(5), torch.full((5,), value)))


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="one shape"):
        pixel_auc(torch.rand(4), torch.ones(1, 4))


def test_half_precision_does_not_overflow_and_512_squared_is_quick() -> None:
    generator = torch.Generator().manual_seed(0)
    score = torch.rand(512, 512, generator=generator)
    truth = torch.rand(512, 512, generator=generator) < score
    started = time.perf_counter()
    exact = pixel_auc(score, truth)
    assert time.perf_counter() - started < 5
    assert exact == pytest.approx(5 / 6, abs=0.005)
    assert pixel_auc(score.bfloat16(), truth) == pytest.approx(exact, abs=0.005)
