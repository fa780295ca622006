"""Unlabelled images get a label that nothing looks at, so that they pass through the same training as labelled ones."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch
from monai.transforms import MapTransform

from kdseg.losses import IGNORED

__all__ = ["UnlabelledAsIgnoredd"]


class UnlabelledAsIgnoredd(MapTransform):
    """Give records without a label one that is 255 everywhere, of the image's size and position.

    Use it after loading (with ``allow_missing_keys=True`` in the transforms before it), so that crops and flips find a
    label; and again at the end where padding or resampling may have brought other values into it: what was unlabelled
    the first time is filled anew. The key "unlabelled" says for every record which it is. Other keys that only labelled
    records have would break the batch: end with MONAI's ``SelectItemsd(["image", "label"])``.

    Args:
        keys: key of the label.
        image_key: key of the image, channel first.
        channels: channels of the label: 1 for a softmax head, K for a sigmoid head.

    Example:
        >>> record = UnlabelledAsIgnoredd("label")({"image": torch.zeros(1, 2, 2)})
        >>> record["label"].tolist(), record["unlabelled"]
        ([[[255.0, 255.0], [255.0, 255.0]]], True)
    """

    def __init__(self, keys: Hashable = "label", image_key: Hashable = "image", channels: int = 1) -> None:
        super().__init__(keys, allow_missing_keys=True)
        self.image_key = image_key
        self.channels = channels

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        record = dict(data)
        image = record[self.image_key]
        missing = any(record.get(key) is None for key in self.keys)
        record["unlabelled"] = bool(record.get("unlabelled", missing))
        if record["unlabelled"]:
            for key in self.keys:
                if record.get(key) is None:
                    # of the image's type, as a loaded label is: the two kinds meet in one batch
                    record[key] = image[:1].expand(self.channels, *image.shape[1:])
                record[key] = torch.full_like(record[key], IGNORED)
        return record
