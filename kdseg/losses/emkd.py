"""EMKD (arXiv 2108.09987, IEEE TMI 2021): importance maps and affinity between regions, after the authors' code.

Its third term, the prediction map, is :class:`kdseg.losses.LogitsLoss` with temperature 4.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from kdseg.losses.attention import attention_map
from kdseg.losses.base import DistillationLoss, TapwiseLoss
from kdseg.losses.labels import class_regions
from kdseg.losses.sizes import areas

__all__ = ["ImportanceMapLoss", "RegionAffinityLoss", "region_affinity"]


class ImportanceMapLoss(TapwiseLoss):
    """IMD: ``mean_b Σ (a_S − a_T)²`` with ``a = n(flatten(mean_c F⁴))``, summed over the taps.

    Source: the authors' code. The teacher's map is resized where the sizes differ (our addition).

    Example:
        >>> features = [torch.ones(1, 2, 4, 4)]
        >>> ImportanceMapLoss()(features, [5 * features[0]]).item()
        0.0
    """

    resized = False

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        size = student.shape[2:]
        apart = attention_map(student, size, power=4) - attention_map(teacher, size, power=4)
        return apart.square().sum(1).mean()


def region_affinity(features: Tensor, regions: Tensor) -> Tensor:
    """Cosine between the mean feature vectors of each two regions.

    Args:
        features: ``BCH[WD]``.
        regions: ``BRH[WD]``, how much of a position belongs to a region.

    Returns:
        ``B × R × R``; 0 with a region that is empty or whose mean is zero.

    Example:
        >>> features = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
        >>> region_affinity(features, torch.tensor([[[1.0, 0.0], [1.0, 1.0]]]))[0, 0, 1].item()
        0.7071067690849304
    """
    regions = regions.flatten(2).to(features.dtype)
    # sums over the region and its means have one direction: only the cosine counts
    means = F.normalize(regions @ features.flatten(2).transpose(1, 2), dim=2, eps=1e-6)
    return means @ means.transpose(1, 2)


class RegionAffinityLoss(DistillationLoss):
    """RAD: squared difference of the :func:`region_affinity` of student and teacher, mean over the pairs present.

    Regions are the classes of the label, brought to the tap's size by area; for a sigmoid head the channels and what
    none of them covers. Pairs count where both classes are in the image: a class that is nowhere is left out, and the
    value is 0 where no image has two. Voxels of label 255 belong to no region. The
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
        regions = class_regions(label, classes + (self.head == "sigmoid"), self.head)
        present = (regions.flatten(2).amax(2) > 0).to(student[0].dtype)
        for features, target in zip(student[1:], teacher[1:], strict=True):
            regions_s, regions_t = (areas(regions, tap.shape[2:]) for tap in (features, target))
            apart = region_affinity(features, regions_s) - region_affinity(target, regions_t)
            pairs = (present.unsqueeze(1) * present.unsqueeze(2)).triu(1)
            total = total + (apart.square() * pairs).sum() / pairs.sum().clamp_min(1)
        return total
