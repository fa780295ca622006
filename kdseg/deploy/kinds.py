"""Images as programs hold them, for MONAI's transforms."""

from __future__ import annotations

from typing import Any

import torch
from monai.data import MetaTensor

from kdseg.runtime.images import from_program
from kdseg.task import Task

__all__ = ["to_tensor"]


def to_tensor(image: Any, task: Task) -> MetaTensor:
    """An image ``CWH[D]`` with its affine, as the readers of files give it.

    Raises:
        UserError: see :func:`kdseg.runtime.images.from_program`.
    """
    array, meta = from_program(image, task)
    affine = torch.from_numpy(meta.pop("affine"))
    return MetaTensor(torch.from_numpy(array), affine=affine, meta=meta)
