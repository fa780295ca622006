"""What a picture of a case shows: image, truth and prediction, of a volume one axial slice as radiologists see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.utils import convert_to_numpy
from numpy.typing import NDArray

__all__ = ["IGNORED", "CaseView", "case_view", "class_numbers"]

IGNORED = 255
# columns run to the patient's left, rows to the back, slices to the head
RADIOLOGICAL = ("L", "P", "S")


@dataclass(frozen=True)
class CaseView:
    """A picture of a case."""

    image: NDArray[np.generic]  # values HW
    # truth, prediction: class numbers HW, 0 = background, 255 in the truth = ignored
    truth: NDArray[np.uint8]
    prediction: NDArray[np.uint8]
    # of a volume which axial slice it is, from 1 at the feet, and how many there are; None of a picture
    slice: tuple[int, int] | None


def case_view(item: Mapping[str, Any], classes: int | None = None) -> CaseView:
    """The view of one item of an evaluator's output.

    Of a volume it is the axial slice with most true foreground, the middle one where there is none, with the patient's
    right on the left side; the label's affine says how the volume is stored. Pixels are repeated where they are longer
    in one direction.

    Args:
        item: "image", "label" and "pred", each ``CWH[D]``; of the channels of a volume's image, which are its
            neighbouring slices, the middle one is shown.
        classes: their number without the background; by default one less than there are channels.

    Example:
        >>> label = torch.zeros(1, 4, 3, 5)
        >>> label[..., 3] = 1
        >>> view = case_view({"image": label, "label": label, "pred": label})
        >>> view.image.shape, view.slice
        ((3, 4), (4, 5))
    """
    truth, prediction = class_numbers(item, classes)
    image = convert_to_numpy(item["image"])
    if truth.ndim == 2:
        # MONAI's first spatial axis is the picture's width
        return CaseView(image[0].T, truth.T, prediction.T, None)
    arrays, spacing = _upright([image[len(image) // 2], truth, prediction], item["label"])
    shown = _fullest_slice(arrays[1])
    ratio = spacing[1] / spacing[0]
    times = max(1, round(ratio)), max(1, round(1 / ratio))
    views = [array[..., shown].T.repeat(times[0], axis=0).repeat(times[1], axis=1) for array in arrays]
    return CaseView(views[0], views[1], views[2], (shown + 1, arrays[1].shape[2]))


def _upright(volumes: list[NDArray[Any]], label: torch.Tensor) -> tuple[list[NDArray[Any]], NDArray[np.float64]]:
    """The volumes with their axes to the left, the back and the head, and the spacing along these axes."""
    import nibabel

    if not isinstance(label, MetaTensor):
        return volumes, np.ones(3)
    stored = nibabel.io_orientation(convert_to_numpy(label.affine))
    turn = nibabel.orientations.ornt_transform(stored, nibabel.orientations.axcodes2ornt(RADIOLOGICAL))
    spacing = np.empty(3)
    spacing[turn[:, 0].astype(int)] = convert_to_numpy(label.pixdim)
    return [nibabel.apply_orientation(volume, turn) for volume in volumes], spacing


def class_numbers(item: Mapping[str, Any], classes: int | None = None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The label and the prediction of an item as class numbers ``WH[D]``; arguments as in :func:`case_view`."""
    return _numbers(item["label"], classes), _numbers(item["pred"], classes)


def _numbers(mask: Any, classes: int | None) -> NDArray[np.uint8]:
    """From one channel of class numbers, or one binary channel for each class with or without a background."""
    array = convert_to_numpy(torch.as_tensor(mask))
    if len(array) == 1:
        return array[0].astype(np.uint8)
    channels = array[-(classes or len(array) - 1) :] > 0
    return np.where(channels.any(0), channels.argmax(0) + 1, 0).astype(np.uint8)


def _fullest_slice(truth: NDArray[np.uint8]) -> int:
    sizes = ((truth > 0) & (truth < IGNORED)).sum(axis=(0, 1))
    return int(sizes.argmax()) if sizes.any() else truth.shape[2] // 2
