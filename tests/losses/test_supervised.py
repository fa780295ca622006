"""The supervised loss: what is not labelled changes nothing of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.losses import DiceLoss
from torch.nn import functional as F

from kdseg.losses import SegmentationLoss


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.0, 0.0), (0.0, 1.0)])
def test_unlabelled_images_leave_both_parts_as_they_are(head: Any, weights: tuple[float, float]) -> None:
    logits, loss = torch.randn(4, 2, 8, 8), SegmentationLoss(head, *weights)
    label = torch.randint(2, (4, 1 if head == "softmax" else 2, 8, 8)).float()
    labelled = loss(logits[:2], label[:2])
    label[2:] = 255
    torch.testing.assert_close(loss(logits, label), labelled)
    label[:] = 255
    assert loss(logits, label) == 0


def test_with_all_labels_it_is_monais_dice_and_torchs_cross_entropy() -> None:
    logits, label = torch.randn(3, 1, 8, 8), torch.randint(2, (3, 1, 8, 8)).float()
    expected = DiceLoss(sigmoid=True)(logits, label) + F.binary_cross_entropy_with_logits(logits, label)
    torch.testing.assert_close(SegmentationLoss("sigmoid")(logits, label), expected)
