"""The transforms of a task: the same for training, validation and prediction, so that a network always sees alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.transforms import (
    Compose,
    EnsureChannelFirstd,
    EnsureTyped,
    LoadImaged,
    MapLabelValued,
    ScaleIntensityRanged,
    SelectItemsd,
)
from monai.utils import instantiate

from kdseg.data import MaskReader, PictureReader, VolumeReader, label_numbers, label_structures
from kdseg.data.lists.classes import mask_settings
from kdseg.data.lists.datalist import read_datalist
from kdseg.errors import UserError
from kdseg.task.steps import Step, grid_steps, intensity_steps, output_steps, reading
from kdseg.task.task import Task
from kdseg.transforms import ClassChannelsd, LoadLabeld, LoadSoftLabeld, NeighbourSlicesd, UnlabelledAsIgnoredd

__all__ = [
    "image_reader",
    "image_transforms",
    "postprocessing",
    "prediction_transforms",
    "training_transforms",
    "validation_transforms",
]

BOTH = ["image", "label"]
Transforms = list[Any]


def image_reader(task: Task, choose: bool = False) -> Any:
    """The reader of the task's images.

    Args:
        task: see :class:`Task`.
        choose: of a folder with several DICOM series take the one that the task wants; a data list names it already.
    """
    return (PictureReader if task.kind == "picture" else VolumeReader)(**reading(task, choose))


def prediction_transforms(task: Task) -> Compose:
    """From a file's path under "image" to what the network is fed."""
    load = [LoadImaged("image", image_reader(task, choose=True)), EnsureChannelFirstd("image")]
    return Compose([*load, *image_transforms(task)])


def image_transforms(task: Task) -> Transforms:
    """From an image as it was read, channel first, to what the network is fed."""
    return [*_made(intensity_steps(task)), *_made(grid_steps(task)), *_neighbours(task)]


def validation_transforms(task: Task, datalist: str | Path) -> Transforms:
    """As for prediction; the label stays on the grid of its file, where predictions are measured."""
    return [*_loaded(task, datalist), *_channels(task), *image_transforms(task)]


def training_transforms(
    task: Task, datalist: str | Path, augmentation: Sequence[Any], unlabelled: bool = False, soft_labels: bool = False
) -> Transforms:
    """Image and label on the network's grid, then what is random, as tensors of one type for a batch.

    Args:
        task: see :class:`Task`.
        datalist: its labels say which value in the masks is which class.
        augmentation: random transforms of "image" and "label", crops or slices among them.
        unlabelled: images without a label get one that is ignored everywhere.
        soft_labels: records bring a teacher's map along, which is augmented with the image.

    Raises:
        UserError: when one of ``augmentation`` moves image and label and leaves soft labels where they are.
    """
    ignored = [UnlabelledAsIgnoredd("label")] if unlabelled else []
    taught = [*BOTH, "soft_labels"] if soft_labels else BOTH
    for step in augmentation:
        keys = set(getattr(step, "keys", ()))
        if keys >= set(BOTH) and not keys >= set(taught):
            fix = 'write "keys": "@spatial_keys" in train#augmentation, and a mode for each of three keys'
            found = f"{type(step).__name__} of image and label alone"
            raise UserError("train#augmentation", found=found, expected="soft_labels too", fix=fix)
    return [
        *_loaded(task, datalist, unlabelled),
        *_made(intensity_steps(task)),
        *_made(grid_steps(task, with_label=True, unlabelled=unlabelled)),
        *ignored,
        # a label of bytes: volumes are kept in memory
        EnsureTyped(BOTH, track_meta=False, dtype=[torch.float32, torch.uint8]),
        *([LoadSoftLabeld("soft_labels")] if soft_labels else []),
        *augmentation,
        # what was unlabelled is filled anew where padding brought other values into it
        *ignored,
        *([ScaleIntensityRanged("soft_labels", 0, 255, 0, 1, clip=True)] if soft_labels else []),
        EnsureTyped(taught, track_meta=False, dtype=torch.float32),
        *_channels(task),
        *([SelectItemsd(taught)] if unlabelled else []),
    ]


def postprocessing(task: Task, preprocessing: Compose, images: bool = False) -> Transforms:
    """From logits under "pred" to a mask on the grid of the file, see :func:`~kdseg.task.steps.output_steps`."""
    return _made(output_steps(task, preprocessing, images))


def _made(steps: Iterable[Step]) -> Transforms:
    return [
        instantiate(step["_target_"], "default", **{key: value for key, value in step.items() if key != "_target_"})
        for step in steps
    ]


def _neighbours(task: Task) -> Transforms:
    return [NeighbourSlicesd("image", task.neighbours)] if task.neighbours > 1 else []


def _channels(task: Task) -> Transforms:
    """A channel for each class where classes are not told by number."""
    return [ClassChannelsd("label", len(task.classes))] if task.head == "sigmoid" and len(task.classes) > 1 else []


def _loaded(task: Task, datalist: str | Path, unlabelled: bool = False) -> Transforms:
    """Image and label as class numbers of the task, channel first, on the grid of the file."""
    numbers: Any = label_numbers(datalist, task.classes)
    known: dict[str, Any] = {"allow_missing_keys": unlabelled}
    reader: Any = image_reader(task)
    if task.kind == "volume":
        structures = label_structures(datalist)
        label = LoadLabeld("label", names=structures, values=numbers["orig_labels"], absent="empty", **known)
        relabel = MapLabelValued("label", **numbers, **known)
        return [LoadImaged("image", reader), EnsureChannelFirstd("image"), label, relabel]
    settings = mask_settings(read_datalist(Path(datalist))["labels"])
    if task.ignored is not None:
        settings["ignored"] = task.ignored
    masks: Any = MaskReader(frame=task.frame, level=task.level, **settings)
    load = [LoadImaged("image", reader), LoadImaged("label", masks, **known), EnsureChannelFirstd(BOTH, **known)]
    return load if settings["values"] is None else [*load, MapLabelValued("label", **numbers, **known)]
