"""EMKD (arXiv 2108.09987, IEEE TMI 2021): importance maps and affinity between regions, after the authors' code.

Its third term, the prediction map, is :class:`kdseg.losses.LogitsLoss` with temperature 4.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from kdseg.losses.attention import attention_map
from kdseg.losses.base import DistillationLoss, Head, one_hot_label, resize_label

__all__ = ["ImportanceMapLoss", "RegionAffinityLoss", "region_affinity"]


class ImportanceMapLoss(DistillationLoss):
    """IMD: ``mean_b Σ (a_S − a_T)²`` with ``a = n(flatten(mean_c F⁴))``, summed over the taps.

    Source: the authors' code. The teacher's map is resized where the sizes differ (our addition).

    Example:
        >>> features = [torch.ones(1, 2, 4, 4)]
        >>> ImportanceMapLoss()(features, [5 * features[0]]).item()
        0.0
    """

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        total = student[0].new_zeros(())
        for features, target in zip(student, teacher, strict=True):
            size = features.shape[2:]
            apart = attention_map(features, size, power=4) - attention_map(target, size, power=4)
            total = total + apart.square().sum(1).mean()
        return total


def region_affinity(features: Tensor, regions: Tensor) -> Tensor:
    """Cosine between the mean feature vectors of each two regions.

    Args:
        features: ``BCH[WD]``.
        regions: ``BRH[WD]``, 1 where a position belongs to a region.

    Returns:
        ``B × R × R``; 0 with a region that is empty or whose mean is zero.

    Example:
        >>> features = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
        >>> region_affinity(features, torch.tensor([[[1.0, 0.0], [1.0, 1.0]]]))[0, 0, 1].item()
        0.7071067690849304
    """
    regions = regions.flatten(2).to(features.dtype)
    # sums over the region and its means have one direction: only the cosine counts
    means = regions @ features.flatten(2).transpose(1, 2) / regions.sum(2, keepdim=True).clamp_min(1)
    means = F.normalize(means, dim=2, eps=1e-6)
    return means @ means.transpose(1, 2)


class RegionAffinityLoss(DistillationLoss):
    """RAD: squared difference of the :func:`region_affinity` of student and teacher, mean over the pairs present.

    Regions are the classes of the label, resized to the tap by the nearest voxel; for a sigmoid head the channels and
    what none of them covers. Pairs count where both classes are in the image: a class that is nowhere, or lost at the
    tap's size, is left out, and the value is 0 where no image has two. Voxels of label 255 belong to no region. The
    channels are contracted, so that networks of any width compare. The first tap is the logits, for the number of
    classes; the values of the others are summed.

    Source: the authors' code for two classes; the mean over pairs present makes it multi-class.

    Example:
        >>> logits, features = torch.rand(1, 2, 8, 8), torch.rand(1, 5, 4, 4)
        >>> RegionAffinityLoss()([logits, features], [logits, features], torch.ones(1, 1, 8, 8)).item()
        0.0
    """

    needs_labels = True

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        assert label is not None, "the call is checked: needs_labels"
        total, classes = student[0].new_zeros(()), student[0].shape[1]
        for features, target in zip(student[1:], teacher[1:], strict=True):
            regions_s = _regions(resize_label(label, features.shape[2:]), classes, self.head)
            regions_t = _regions(resize_label(label, target.shape[2:]), classes, self.head)
            apart = region_affinity(features, regions_s) - region_affinity(target, regions_t)
            present = ((regions_s.flatten(2).sum(2) > 0) & (regions_t.flatten(2).sum(2) > 0)).to(features.dtype)
            pairs = (present.unsqueeze(1) * present.unsqueeze(2)).triu(1)
            total = total + (apart.square() * pairs).sum() / pairs.sum().clamp_min(1)
        return total


def _regions(label: Tensor, classes: int, head: Head) -> Tensor:
    """The regions ``BRH[WD]`` of a label: its classes; for a sigmoid head K channels and the rest."""
    regions, valid = one_hot_label(label, classes, head)
    if head == "softmax":
        return regions
    return torch.cat([regions, valid - regions.amax(1, keepdim=True)], 1)
