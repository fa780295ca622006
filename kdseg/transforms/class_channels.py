"""Class numbers as a yes or no of each class, and back, for sigmoid heads of several classes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type
from torch import Tensor

from kdseg.losses import IGNORED

__all__ = ["ClassChannelsd", "class_numbers_of"]


class ClassChannelsd(MapTransform):
    """A channel of 0 and 1 for each class, from one channel of class numbers; ignored voxels are ignored in all.

    MONAI's AsDiscrete makes a channel for the background too, and none where a voxel is to be ignored.

    Args:
        keys: of label maps ``1H[WD]``, 255 where ignored.
        classes: K; the numbers 1 to K are classes.
        allow_missing_keys: whether a missing key is passed over.

    Shapes:
        ``1H[WD]`` becomes ``KH[WD]``.

    Example:
        >>> ClassChannelsd("label", 2)({"label": torch.tensor([[[0, 1, 2, 255]]])})["label"].tolist()
        [[[0, 1, 0, 255]], [[0, 0, 1, 255]]]
    """

    def __init__(self, keys: KeysCollection, classes: int, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.classes = classes

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        for key in self.key_iterator(result):
            label = torch.as_tensor(result[key])
            each = torch.cat([torch.where(label == IGNORED, label, label == k) for k in range(1, self.classes + 1)])
            result[key] = convert_to_dst_type(each.to(label.dtype), result[key])[0]
        return result


def class_numbers_of(mask: Tensor, probability: Tensor | None = None) -> Tensor:
    """One channel of class numbers from a channel for each class; where several say yes, the most probable one.

    Args:
        mask: ``KH[WD]``, 0 and 1.
        probability: of the same shape; None: the first class that says yes.
    """
    if mask.shape[0] == 1:
        return mask
    ranked = mask if probability is None else mask * probability
    return torch.where(mask.any(0), ranked.argmax(0) + 1, 0).unsqueeze(0).to(mask.dtype)
