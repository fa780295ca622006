"""The supervised loss that the student alone, the teacher and the distilled student share."""

from __future__ import annotations

from monai.losses import DiceLoss
from torch import Tensor, nn

from kdseg.losses.labels import Head, cross_entropy, masked_mean, one_hot_label, probabilities

__all__ = ["SegmentationLoss"]


class SegmentationLoss(nn.Module):
    """``dice_weight · Dice + cross_entropy_weight · cross-entropy``, blind to voxels with the label 255.

    The Dice part is MONAI's, on probabilities and labels that are zeroed where ignored: its own ``ignore_index``
    (1.6.1) still lets ignored voxels into the sums when the sentinel is outside the classes. Both parts are means over
    what is labelled, so that images without a label do not tip their balance.

    Args:
        head: "softmax" (label ``B1H[WD]`` of class numbers) or "sigmoid" (binary maps ``BKH[WD]``).
        dice_weight: weight of the soft Dice loss (classes averaged, background included for softmax heads).
        cross_entropy_weight: weight of the cross-entropy, mean over voxels that count.

    Example:
        >>> import torch
        >>> loss = SegmentationLoss("sigmoid")
        >>> bool(loss(torch.full((1, 1, 4, 4), 20.0), torch.ones(1, 1, 4, 4)) < 1e-4)
        True
    """

    def __init__(self, head: Head = "softmax", dice_weight: float = 1.0, cross_entropy_weight: float = 1.0) -> None:
        super().__init__()
        self.head: Head = head
        self.dice_weight = dice_weight
        self.cross_entropy_weight = cross_entropy_weight
        self.dice = DiceLoss(reduction="none")

    def forward(self, logits: Tensor, label: Tensor) -> Tensor:
        """The loss as a scalar for ``logits`` ``BKH[WD]``; zero where every voxel is ignored."""
        target, valid = one_hot_label(label, logits.shape[1], self.head)
        entropy = cross_entropy(logits, target, self.head)
        dice = self.dice(probabilities(logits, self.head) * valid, target * valid).flatten(1).mean(1)
        # an image of which nothing is known would count as one that is all right
        labelled = valid.flatten(1).amax(1)
        dice = (dice * labelled).sum() / labelled.sum().clamp_min(1.0)
        return self.dice_weight * dice + self.cross_entropy_weight * masked_mean(entropy, valid)
