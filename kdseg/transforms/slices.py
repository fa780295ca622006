"""Slices of volumes for 2-D networks, with their neighbours as channels (2.5-D)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform, Randomizable
from torch import Tensor

from kdseg.errors import UserError

__all__ = ["NeighbourSlicesd", "RandSliced", "neighbour_slices"]


def neighbour_slices(volume: Tensor, count: int) -> Tensor:
    """The slices before and after as channels of each slice; the outermost slices are repeated.

    Args:
        volume: ``1WHD``, slices along the last axis.
        count: slices that a slice is seen with, itself in the middle: odd.

    Returns:
        ``(count, W, H, D)``.

    Example:
        >>> neighbour_slices(torch.arange(3.0).reshape(1, 1, 1, 3), 3).flatten(1).tolist()
        [[0.0, 0.0, 1.0], [0.0, 1.0, 2.0], [1.0, 2.0, 2.0]]
    """
    last = volume.shape[-1] - 1
    places = torch.arange(last + 1)
    shifts = range(-(count // 2), count // 2 + 1)
    return torch.cat([volume[..., (places + shift).clamp(0, last)] for shift in shifts])


class NeighbourSlicesd(MapTransform):
    """:func:`neighbour_slices` of each key: for prediction, slice by slice, with MONAI's ``SliceInferer``.

    Args:
        keys: volumes ``1WHD``.
        count: odd.
        allow_missing_keys: whether a missing key is passed over.
    """

    def __init__(self, keys: KeysCollection, count: int = 3, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.count = _odd(count)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        for key in self.key_iterator(result):
            volume = result[key]
            plain = volume.as_tensor() if isinstance(volume, MetaTensor) else volume
            result[key] = _like(neighbour_slices(plain, self.count), volume)
        return result


class RandSliced(Randomizable, MapTransform):
    """A random slice of a volume and of its label map, every slice with the same chance.

    Args:
        keys: of image and label map, ``1WHD``, slices along the last axis; the image first.
        label_key: only slices where this map is not zero are drawn; None: all slices.
        neighbours: slices that the image is seen with, itself in the middle, as channels: odd.

    Shapes:
        the image becomes ``(neighbours, W, H)``, the label map ``1WH``.

    Raises:
        UserError: when there is no slice with a label.

    Example:
        >>> volume = torch.arange(4.0).reshape(1, 1, 1, 4)
        >>> draw = RandSliced(["image", "label"], label_key="label", neighbours=3)
        >>> record = draw({"image": volume, "label": (volume == 3).float()})
        >>> record["image"].flatten().tolist(), record["label"].item()
        ([2.0, 3.0, 3.0], 1.0)
    """

    def __init__(self, keys: KeysCollection, label_key: Hashable | None = None, neighbours: int = 1) -> None:
        MapTransform.__init__(self, keys)
        self.label_key = label_key
        self.neighbours = _odd(neighbours)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        image_key, *others = self.keys
        volume = result[image_key]
        places = torch.arange(volume.shape[-1])
        if self.label_key is not None:
            label = result[self.label_key]
            places = torch.nonzero(label.flatten(0, -2).any(dim=0)).flatten()
            if not len(places):
                fix = "leave the case out, or draw from all slices (label_key null)"
                where = f"case {result['case']}" if "case" in result else "RandSliced"
                raise UserError(where, found="an empty label map", expected="a slice with a label", fix=fix)
        place = int(places[self.R.randint(len(places))])
        half = self.neighbours // 2
        near = torch.arange(place - half, place + half + 1).clamp(0, volume.shape[-1] - 1)
        result[image_key] = volume[..., near].movedim(-1, 1).flatten(0, 1)
        for key in others:
            result[key] = result[key][..., place]
        return result


def _odd(count: int) -> int:
    if count < 1 or count % 2 == 0:
        raise UserError("neighbouring slices", found=str(count), expected="an odd number", fix="use 1 or 3")
    return count


def _like(stacked: Tensor, volume: Tensor) -> Tensor:
    """The meta data of the volume, and what was done to it, stay with its slices."""
    if not isinstance(volume, MetaTensor):
        return stacked
    return MetaTensor(stacked, meta=volume.meta, applied_operations=volume.applied_operations)
