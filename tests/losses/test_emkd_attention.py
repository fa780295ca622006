"""What the references do not show: hand-computed regions, scales beyond float32, ignored and missing classes."""

from __future__ import annotations

import pytest
import torch

from kdseg.errors import UserError
from kdseg.losses import IGNORED, FactorLoss, RegionAffinityLoss
from kdseg.losses.attention import attention_map
from kdseg.losses.emkd import region_affinity


def test_attention_map_of_any_scale() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 3, 4, 4)
    wanted = attention_map(features, (4, 4), power=4)
    for scale in (1e-9, 1e9):
        torch.testing.assert_close(attention_map(features * scale, (4, 4), power=4), wanted)


def test_only_pairs_of_classes_that_are_present_count() -> None:
    logits = torch.zeros(1, 3, 1, 4)
    student = torch.tensor([[[[1.0, 1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0, 1.0]]]])
    teacher = torch.ones(1, 2, 1, 4)
    label = torch.tensor([[[[0, 0, 2, 2]]]])
    # classes 0 and 2 are orthogonal in the student and alike in the teacher; class 1 is nowhere
    loss = RegionAffinityLoss()
    assert loss([logits, student], [logits, teacher], label).item() == pytest.approx(1.0)
    ignored = torch.tensor([[[[0, 0, IGNORED, IGNORED]]]])
    assert loss([logits, student], [logits, teacher], ignored).item() == 0


def test_a_class_that_is_thinner_than_a_position_keeps_its_region() -> None:
    """A line of one voxel in sixteen: the nearest voxel of each position misses it."""
    label = torch.zeros(1, 1, 16, 16)
    label[..., 3] = 1
    logits = torch.zeros(1, 2, 16, 16)
    student = torch.zeros(1, 2, 1, 2)
    student[0, 0, 0, 0], student[0, 1, 0, 1] = 1.0, 1.0
    # background: 7/15 of the left vector, 8/15 of the right one; the line lies in the left position alone
    wanted = (1 - 7 / (7**2 + 8**2) ** 0.5) ** 2
    value = RegionAffinityLoss()([logits, student], [logits, torch.ones(1, 2, 1, 2)], label)
    assert value.item() == pytest.approx(wanted)


def test_sigmoid_regions_include_the_rest() -> None:
    logits, label = torch.zeros(1, 1, 1, 2), torch.tensor([[[[1, 0]]]])
    student = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    value = RegionAffinityLoss("sigmoid")([logits, student], [logits, torch.ones(1, 2, 1, 2)], label)
    assert value.item() == pytest.approx(1.0)


def test_an_empty_region_has_no_affinity() -> None:
    affinity = region_affinity(torch.ones(1, 2, 3), torch.tensor([[[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]]))
    assert affinity[0, 0, 1].item() == 0 and affinity[0, 0, 0].item() == pytest.approx(1.0)


def test_factor_rate_is_a_share() -> None:
    with pytest.raises(UserError, match="rate"):
        FactorLoss(rate=0)
