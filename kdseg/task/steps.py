"""The fixed transforms of a task as components of a MONAI configuration, for objects and for files."""

from __future__ import annotations

from typing import Any

from kdseg.task.task import Task

__all__ = ["Step", "grid_steps", "intensity_steps", "output_steps", "reading"]

Step = dict[str, Any]
"""``{"_target_": …, "keys": …, …}``."""


def _step(name: str, keys: str | list[str] = "image", **settings: Any) -> Step:
    return {"_target_": name if name.startswith("kdseg.") else f"monai.transforms.{name}", "keys": keys, **settings}


def reading(task: Task, choose: bool = False) -> dict[str, Any]:
    """Settings of the reader of the task's images, :class:`kdseg.data.PictureReader` or ``VolumeReader``.

    Args:
        task: see :class:`Task`.
        choose: of a folder with several DICOM series take the one that the task wants; a data list names it already.
    """
    if task.kind == "picture":
        return {"frame": task.frame, "colour": task.colour, "level": task.level}
    if not choose:
        return {"uneven": task.uneven}
    modality = task.modality[0] if len(task.modality) == 1 else None
    wanted = {"modality": modality, "description": task.series, "plane": task.plane}
    return {"choose": "largest", "uneven": task.uneven, **wanted}


def intensity_steps(task: Task) -> list[Step]:
    """From the values of the file to those that the network is fed."""
    steps = []
    if task.n4:
        steps.append(_step("kdseg.transforms.N4BiasFieldCorrectiond"))
    if task.clahe:
        steps.append(_step("kdseg.transforms.ContrastLimitedHistogramEqualisationd"))
    if task.window is not None:
        low, high = task.window
        steps.append(_step("ScaleIntensityRanged", a_min=low, a_max=high, b_min=0.0, b_max=1.0, clip=True))
    if task.z_score:
        # frames of a cine are channels, each an image of its own
        steps.append(_step("NormalizeIntensityd", channel_wise=not task.colour))
    return steps


def grid_steps(task: Task, with_label: bool = False, unlabelled: bool = False) -> list[Step]:
    """From the grid of the file to that of the network.

    Args:
        task: see :class:`Task`.
        with_label: bring "label" along, by the nearest voxel.
        unlabelled: it may be missing.
    """
    keys = ["image", "label"] if with_label else ["image"]
    missing = {"allow_missing_keys": True} if unlabelled else {}

    def modes(first: str, second: str) -> list[str]:
        return [first, second][: len(keys)]

    if task.kind == "picture":
        if task.scale >= 1:
            return []
        zoom: dict[str, Any] = {"zoom": task.scale, "keep_size": False}
        # what is finer than the reduced grid can show is smoothed away
        smooth = _step("GaussianSmoothd", sigma=(1 / task.scale - 1) / 2)
        image = _step("Zoomd", mode="bilinear", align_corners=False, **zoom)
        return [
            smooth,
            image,
            *([_step("Zoomd", "label", mode="nearest-exact", **zoom, **missing)] if with_label else []),
        ]
    turn = _step("Orientationd", keys, axcodes="RAS", labels=None, **missing)
    if task.spacing is not None:
        # double precision would hold 56 bytes for every voxel of the file when this is undone
        resample: dict[str, Any] = {
            "pixdim": list(task.spacing),
            "mode": modes("bilinear", "nearest"),
            "dtype": "float32",
        }
        return [turn, _step("Spacingd", keys, **resample, **missing)]
    size = [*(task.patch_size or ()), -1]
    return [turn, _step("Resized", keys, spatial_size=size, mode=modes("trilinear", "nearest-exact"), **missing)]


def output_steps(task: Task, preprocessing: Any, images: bool = False, padded: bool = False) -> list[Step]:
    """From logits under "pred" to a mask on the grid of the file: class numbers, or yes and no of a sigmoid head.

    Args:
        task: see :class:`Task`.
        preprocessing: what the image went through, to be undone; or the reference to it in a configuration.
        images: bring "image" back as well, for pictures of the case.
        padded: a picture was padded too.
    """
    softmax, nearest = task.head == "softmax", task.kind == "volume"
    keys = ["pred", "image"] if images else ["pred"]
    back = _step("Invertd", keys, transform=preprocessing, orig_keys="image", to_tensor=True)
    back["nearest_interp"] = [nearest, False][: len(keys)]
    probability = _step("Activationsd", "pred", softmax=softmax, sigmoid=not softmax)
    decide = _step("AsDiscreted", "pred", argmax=True) if softmax else _step("AsDiscreted", "pred", threshold=0.5)
    largest = []
    if task.largest_component:
        numbers = {"applied_labels": list(range(1, len(task.classes) + 1)), "is_onehot": False}
        # MONAI takes the first channel for the background where it is not told which ones there are
        each = numbers if softmax else {"applied_labels": list(range(len(task.classes))), "is_onehot": True}
        largest = [_step("KeepLargestConnectedComponentd", "pred", **each)]
    if nearest:
        return [*([] if softmax else [probability]), decide, *largest, back]
    # of a picture probabilities and not classes are brought back to full size
    undo = [back] if task.scale < 1 or padded else []
    kept = [] if softmax else [_step("CopyItemsd", "pred", names="probability")]
    return [probability, *undo, *kept, decide, *largest]
