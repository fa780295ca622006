"""The transforms of a task: the same for training, validation and prediction, so that a network always sees alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from monai.transforms import (
    Activationsd,
    AsDiscreted,
    Compose,
    CopyItemsd,
    EnsureChannelFirstd,
    EnsureTyped,
    GaussianSmoothd,
    Invertd,
    KeepLargestConnectedComponentd,
    LoadImaged,
    MapLabelValued,
    NormalizeIntensityd,
    Orientationd,
    Resized,
    ScaleIntensityRanged,
    SelectItemsd,
    Spacingd,
    Transform,
    Zoomd,
)

from kdseg.data import MaskReader, PictureReader, VolumeReader, label_numbers, label_structures
from kdseg.data.lists.datalist import IGNORED_NAME, read_datalist
from kdseg.losses import IGNORED
from kdseg.task.task import Task
from kdseg.transforms import (
    ClassChannelsd,
    ContrastLimitedHistogramEqualisationd,
    LoadLabeld,
    N4BiasFieldCorrectiond,
    NeighbourSlicesd,
    UnlabelledAsIgnoredd,
)

__all__ = [
    "image_reader",
    "image_transforms",
    "postprocessing",
    "prediction_transforms",
    "training_transforms",
    "validation_transforms",
]

BOTH = ["image", "label"]


def image_reader(task: Task, choose: bool = False) -> Any:
    """The reader of the task's images.

    Args:
        task: see :class:`Task`.
        choose: of a folder with several DICOM series take the one that the task wants; a data list names it already.
    """
    if task.kind == "picture":
        return PictureReader(frame=task.frame, colour=task.colour, level=task.level)
    if not choose:
        return VolumeReader(uneven=task.uneven)
    modality = task.modality[0] if len(task.modality) == 1 else None
    return VolumeReader(
        modality=modality, description=task.series, plane=task.plane, choose="largest", uneven=task.uneven
    )


def prediction_transforms(task: Task) -> Compose:
    """From a file's path under "image" to what the network is fed."""
    load = [LoadImaged("image", image_reader(task, choose=True)), EnsureChannelFirstd("image")]
    return Compose([*load, *image_transforms(task)])


def image_transforms(task: Task) -> list[Transform]:
    """From an image as it was read, channel first, to what the network is fed."""
    return [*_intensity(task), *_grid(task, ["image"]), *_neighbours(task)]


def validation_transforms(task: Task, datalist: str | Path) -> list[Transform]:
    """As for prediction; the label stays on the grid of its file, where predictions are measured."""
    return [*_loaded(task, datalist), *_channels(task), *_intensity(task), *_grid(task, ["image"]), *_neighbours(task)]


def training_transforms(
    task: Task, datalist: str | Path, augmentation: Sequence[Transform], unlabelled: bool = False
) -> list[Transform]:
    """Image and label on the network's grid, then what is random, as tensors of one type for a batch.

    Args:
        task: see :class:`Task`.
        datalist: its labels say which value in the masks is which class.
        augmentation: random transforms of "image" and "label", crops or slices among them.
        unlabelled: images without a label get one that is ignored everywhere.
    """
    ignored = [UnlabelledAsIgnoredd("label")] if unlabelled else []
    return [
        *_loaded(task, datalist, unlabelled),
        *_intensity(task),
        *_grid(task, BOTH, unlabelled),
        *ignored,
        # a label of bytes: volumes are kept in memory
        EnsureTyped(BOTH, track_meta=False, dtype=[torch.float32, torch.uint8]),
        *augmentation,
        # what was unlabelled is filled anew where padding brought other values into it
        *ignored,
        EnsureTyped(BOTH, track_meta=False, dtype=torch.float32),
        *_channels(task),
        *([SelectItemsd(BOTH)] if unlabelled else []),
    ]


def postprocessing(task: Task, preprocessing: Compose, images: bool = False) -> list[Transform]:
    """From logits under "pred" to a mask on the grid of the file: class numbers, or yes and no of a sigmoid head.

    Args:
        task: see :class:`Task`.
        preprocessing: what the image went through, to be undone.
        images: bring "image" back as well, for pictures of the case.
    """
    softmax = task.head == "softmax"
    decide = AsDiscreted("pred", argmax=True) if softmax else AsDiscreted("pred", threshold=0.5)
    probability = [Activationsd("pred", softmax=softmax, sigmoid=not softmax)]
    if task.kind == "picture":
        # probabilities and not classes are brought back to full size
        back = [_inverted(preprocessing, images, nearest=False)] if task.scale < 1 else []
        kept = [] if softmax else [CopyItemsd("pred", names="probability")]
        return [*probability, *back, *kept, decide, *_largest(task)]
    return [*([] if softmax else probability), decide, *_largest(task), _inverted(preprocessing, images, nearest=True)]


def _inverted(preprocessing: Compose, images: bool, nearest: bool) -> Transform:
    keys = ["pred", "image"] if images else ["pred"]
    return Invertd(keys, preprocessing, orig_keys="image", nearest_interp=[nearest, False][: len(keys)], to_tensor=True)


def _largest(task: Task) -> list[Transform]:
    if not task.largest_component:
        return []
    if task.head == "sigmoid":
        return [KeepLargestConnectedComponentd("pred", is_onehot=True, independent=True)]
    numbers = list(range(1, len(task.classes) + 1))
    return [KeepLargestConnectedComponentd("pred", applied_labels=numbers, is_onehot=False)]


def _intensity(task: Task) -> list[Transform]:
    steps: list[Transform] = []
    if task.n4:
        steps.append(N4BiasFieldCorrectiond("image"))
    if task.clahe:
        steps.append(ContrastLimitedHistogramEqualisationd("image"))
    if task.window is not None:
        low, high = task.window
        steps.append(ScaleIntensityRanged("image", a_min=low, a_max=high, b_min=0.0, b_max=1.0, clip=True))
    if task.z_score:
        # frames of a cine are channels, each an image of its own
        steps.append(NormalizeIntensityd("image", channel_wise=not task.colour))
    return steps


def _grid(task: Task, keys: list[str], unlabelled: bool = False) -> list[Transform]:
    both = len(keys) > 1
    known: dict[str, Any] = {"allow_missing_keys": unlabelled}
    if task.kind == "picture":
        if task.scale >= 1:
            return []
        # what is finer than the reduced grid can show is smoothed away
        smooth = GaussianSmoothd("image", sigma=(1 / task.scale - 1) / 2)
        zoom: dict[str, Any] = {"zoom": task.scale, "keep_size": False}
        label = [Zoomd("label", mode="nearest-exact", **zoom, **known)] if both else []
        return [smooth, Zoomd("image", mode="bilinear", align_corners=False, **zoom), *label]
    turned = Orientationd(keys, axcodes="RAS", labels=None, **known)
    if task.spacing is not None:
        return [turned, Spacingd(keys, task.spacing, mode=["bilinear", "nearest"][: len(keys)], **known)]
    size = [*(task.patch_size or ()), -1]
    return [turned, Resized(keys, size, mode=["trilinear", "nearest-exact"][: len(keys)], **known)]


def _neighbours(task: Task) -> list[Transform]:
    return [NeighbourSlicesd("image", task.neighbours)] if task.neighbours > 1 else []


def _channels(task: Task) -> list[Transform]:
    """A channel for each class where classes are not told by number."""
    return [ClassChannelsd("label", len(task.classes))] if task.head == "sigmoid" and len(task.classes) > 1 else []


def _loaded(task: Task, datalist: str | Path, unlabelled: bool = False) -> list[Transform]:
    """Image and label as class numbers of the task, channel first, on the grid of the file."""
    numbers = label_numbers(datalist, task.classes)
    labels = read_datalist(Path(datalist))["labels"]
    ignored = [int(value) for value, name in labels.items() if name == IGNORED_NAME]
    numbers["target_labels"] = [
        IGNORED if value in ignored else target
        for value, target in zip(numbers["orig_labels"], numbers["target_labels"], strict=True)
    ]
    known: dict[str, Any] = {"allow_missing_keys": unlabelled}
    load: list[Transform] = [LoadImaged("image", image_reader(task))]
    if task.kind == "volume":
        structures = label_structures(datalist)
        label = LoadLabeld("label", names=structures, values=numbers["orig_labels"], absent="empty", **known)
        return [*load, EnsureChannelFirstd("image"), label, MapLabelValued("label", **numbers, **known)]
    wanted = [value for value in numbers["orig_labels"] if value not in ignored]
    # a mask of one class may be written as 0 and 255
    two_valued = set(wanted) <= {0, 1}
    reader: Any = MaskReader(
        frame=task.frame, level=task.level, ignored=task.ignored, values=None if two_valued else wanted
    )
    load += [LoadImaged("label", reader, **known), EnsureChannelFirstd(BOTH, **known)]
    return load if two_valued else [*load, MapLabelValued("label", **numbers, **known)]
