"""A teacher's map of a case, read from its file beside the image and augmented with it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform, RandomizableTrait

from kdseg.errors import UserError

__all__ = ["LoadSoftLabeld"]


class LoadSoftLabeld(MapTransform, RandomizableTrait):
    """Replaces the path of a map, ``.npy`` of bytes ``CH[WD]``, by the map, on the grid that the image has now.

    The file is mapped into memory and not read: a crop of a volume costs the crop. For the same reason it counts as a
    random transform, which is done anew for every draw, so that no cache holds the maps.

    Args:
        keys: of the paths.
        image_key: the image ``CH[WD]``, as the teacher has seen it.

    Raises:
        UserError: when the file is not there, or belongs to an image of another size.
    """

    def __init__(self, keys: KeysCollection, image_key: str = "image") -> None:
        super().__init__(keys)
        self.image_key = image_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        size = tuple(result[self.image_key].shape[1:])
        for key in self.keys:
            path = Path(str(result.get(key)))
            try:
                # copy on write: torch wants memory that may be written to, and the file stays as it is
                maps = np.load(path, mmap_mode="c")
            except (OSError, ValueError) as error:
                found = f"no map that can be read ({type(error).__name__})"
                raise _stale(path, found) from error
            if maps.dtype != np.uint8 or maps.shape[1:] != size:
                raise _stale(path, f"a map of {maps.shape[1:]} for an image of {size}")
            result[key] = torch.from_numpy(maps)
        return result


def _stale(path: Path, found: str) -> UserError:
    fix = "start the training again: what is missing is made anew; delete the folder of maps where that does not help"
    return UserError(f"soft labels {path.name}", found=found, expected="the teacher's map of this image", fix=fix)
