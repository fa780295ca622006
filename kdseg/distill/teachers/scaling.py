"""What a chain of MONAI transforms does to intensities, and whether one chain's result can be had from another's."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from monai.transforms import (
    LoadImage,
    NormalizeIntensity,
    Randomizable,
    ScaleIntensity,
    ScaleIntensityRange,
    ScaleIntensityRangePercentiles,
    Transform,
)
from torch import Tensor

from kdseg.errors import UserError

__all__ = ["Scaling", "convertible", "scaling_of"]

_ONE, _ZERO, _NO_LIMIT = torch.ones(1), torch.zeros(1), torch.full((1,), math.inf)

# modules whose transforms leave the value of a voxel as it is (or interpolate it)
_MOVE_VOXELS = (
    "monai.transforms.spatial",
    "monai.transforms.croppad",
    "monai.transforms.io",
    "monai.transforms.utility",
    "kdseg.transforms.slices",
)
_CHANGE_VALUES = (
    "Lambda",
    "TorchVision",
    "ToDevice",
    "SimulateDelay",
    "LabelToMask",
    "IntensityStats",
    "AddExtremePoints",
)
_INNER = ("scaler", "normalizer", "_loader")


@dataclass(frozen=True)
class Scaling:
    """``scale · clip(base, low, high) + shift``; ``base`` is what ``root`` and ``statistic`` leave of the image.

    Two chains with the same base differ by an affine map and a clipping only: one can be had from the other, for any
    crop of the image. Chains with different bases cannot: mean, range or percentiles of the whole image are gone.

    Args:
        root: what happened before that cannot be undone, in words.
        statistic: by what the image was normalised; for its values as they were read "", or the name of the reader.
        scale, shift, low, high: one number, or one for each channel.
        transforms: names of the transforms, for messages.
    """

    root: tuple[str, ...] = ()
    statistic: str = ""
    scale: Tensor = _ONE
    shift: Tensor = _ZERO
    low: Tensor = -_NO_LIMIT
    high: Tensor = _NO_LIMIT
    transforms: tuple[str, ...] = ()

    def affine(self, factor: Any, offset: Any) -> Scaling:
        """The values times ``factor``, plus ``offset``."""
        factor, offset = torch.as_tensor(factor).float(), torch.as_tensor(offset).float()
        return replace(self, scale=self.scale * factor, shift=self.shift * factor + offset)

    def clipped(self, low: float | None, high: float | None) -> Scaling:
        """The values limited to ``[low, high]``."""
        ends = [torch.full((1,), math.inf * sign if end is None else end) for sign, end in ((-1, low), (1, high))]
        first, second = ((end - self.shift) / self.scale for end in ends)
        lower, upper = torch.minimum(first, second), torch.maximum(first, second)
        return replace(self, low=torch.maximum(self.low, lower), high=torch.minimum(self.high, upper))

    def normalised(self, statistic: str, region: tuple[str, ...] = ()) -> Scaling:
        """Normalised by a statistic of the image, which takes every affine map before it away again."""
        root = (*self.root, *region)
        if not (self.low.isneginf().all() and self.high.isposinf().all()):
            root = (*root, f"{self.statistic} clipped to {_text(self.low)} … {_text(self.high)}")
        if bool((self.scale < 0).any()):
            root = (*root, "inverted")
        if self.scale.numel() > 1:
            root = (*root, f"channels times {_text(self.scale)} plus {_text(self.shift)}")
        return Scaling(root, statistic, transforms=self.transforms)

    def changed(self, by: str) -> Scaling:
        """After something that is not understood."""
        facts = (self.statistic, *map(_text, (self.scale, self.shift, self.low, self.high)), by)
        return Scaling((*self.root, " ".join(facts)), "", transforms=self.transforms)


def scaling_of(preprocessing: Any, channels: int = 1) -> Scaling:
    """The intensity scaling of a ``Compose`` of (dictionary) transforms for its image.

    Understood: ``ScaleIntensityRange``, ``ScaleIntensity``, ``NormalizeIntensity``, ``ScaleIntensityRangePercentiles``.
    Any other transform of intensities is taken as it is: chains that contain it agree only where both do.

    Args:
        preprocessing: the transforms; random ones are passed over.
        channels: of the image before it is repeated: with one, "channel_wise" makes no difference.

    Example:
        >>> from monai.transforms import Compose, ScaleIntensityRanged
        >>> scaling_of(Compose([ScaleIntensityRanged("image", 0, 255, -1, 1)])).shift
        tensor([-1.])
    """
    transforms = [t for t in getattr(preprocessing, "transforms", ()) if not isinstance(t, Randomizable)]
    image = _image_key(transforms)
    scaling = Scaling()
    region: tuple[str, ...] = ()
    for transform in transforms:
        if image is not None and image not in getattr(transform, "keys", (image,)):
            continue
        name, inner = type(transform).__name__, transform
        for attribute in _INNER:
            inner = getattr(transform, attribute, inner)
        if isinstance(inner, LoadImage):
            scaling = _read_by(inner, scaling)
        elif type(transform).__module__.startswith(_MOVE_VOXELS) and not name.startswith(_CHANGE_VALUES):
            if type(transform).__module__.startswith("monai.transforms.croppad"):
                region = (*region, _described(transform))  # a statistic is then that of another region
        else:
            before = scaling
            scaling = _after(scaling, inner, channels, region)
            region = () if scaling.root != before.root or scaling.statistic != before.statistic else region
            scaling = replace(scaling, transforms=(*before.transforms, name))
    return scaling


def _image_key(transforms: Iterable[Any]) -> str | None:
    keys = [key for transform in transforms for key in getattr(transform, "keys", ())]
    return "image" if "image" in keys else str(keys[0]) if keys else None


def _read_by(loader: LoadImage, scaling: Scaling) -> Scaling:
    """Readers other than MONAI's may give other units: a PNG is 0 to 255 to one and 0 to 1 to another."""
    reader = type(loader.readers[-1])
    own = not loader.auto_select and not reader.__module__.startswith("monai.")
    return replace(scaling, statistic=f"values as {reader.__name__} reads them") if own else scaling


def _after(scaling: Scaling, transform: Any, channels: int, region: tuple[str, ...]) -> Scaling:
    each = " of each channel" if getattr(transform, "channel_wise", False) and channels > 1 else ""
    if isinstance(transform, ScaleIntensityRange) and transform.a_max != transform.a_min:
        width = transform.a_max - transform.a_min
        return _to_range(scaling.affine(1 / width, -transform.a_min / width), transform)
    if isinstance(transform, ScaleIntensityRangePercentiles) and not transform.relative:
        statistic = f"percentiles {transform.lower:g} and {transform.upper:g}{each}"
        return _to_range(scaling.normalised(statistic, region), transform)
    if isinstance(transform, ScaleIntensity):
        if transform.minv is None and transform.maxv is None:
            return scaling.affine(1 + (transform.factor or 0), 0)
        scaling = scaling.normalised(f"smallest and largest value{each}", region)
        if transform.minv is None or transform.maxv is None:
            return scaling
        return scaling.affine(transform.maxv - transform.minv, transform.minv)
    if isinstance(transform, NormalizeIntensity) and not transform.nonzero:
        subtrahend, divisor = transform.subtrahend, transform.divisor
        if subtrahend is None and divisor is None:
            return scaling.normalised(f"mean and standard deviation{each}", region)
        if subtrahend is not None and divisor is not None:
            divisor = torch.as_tensor(divisor).float()
            divisor = torch.where(divisor == 0, 1.0, divisor)
            return scaling.affine(1 / divisor, -torch.as_tensor(subtrahend).float() / divisor)
    return scaling.changed(_described(transform))


def _to_range(scaling: Scaling, transform: ScaleIntensityRange | ScaleIntensityRangePercentiles) -> Scaling:
    low, high = transform.b_min, transform.b_max
    if low is not None and high is not None:
        scaling = scaling.affine(high - low, low)
    return scaling.clipped(low, high) if transform.clip else scaling


def _described(transform: Any) -> str:
    """Class and settings. What belongs to keys and to MONAI's bookkeeping is left out."""
    left_out = ("keys", "allow_missing_keys", "backend", "dtype", "first_key")
    settings = {k: v for k, v in vars(transform).items() if k not in left_out and not k.startswith("_")}
    told = [f"{key}={_described(v) if isinstance(v, Transform) else repr(v)}" for key, v in sorted(settings.items())]
    return f"{type(transform).__name__}({', '.join(told)})"


def _text(numbers: Tensor) -> str:
    return "/".join(f"{number:.6g}" for number in numbers.flatten().tolist())


def convertible(student: Scaling, teacher: Scaling) -> None:
    """Refuse where the teacher's input cannot be computed from the student's.

    Raises:
        UserError: when the two are normalised by different statistics of the image, contain different transforms that
            cannot be undone, or when the student's clipping has removed what the teacher looks at.
    """
    names = [" → ".join(s.transforms) or "no scaling" for s in (student, teacher)]
    if (student.root, student.statistic) != (teacher.root, teacher.statistic):
        found = f"{names[1]} ({_base(teacher)}), where the student has {names[0]} ({_base(student)})"
        expected = "a scaling that can be computed from a crop of the student's input"
    elif _beyond(student.low, teacher.low) or _beyond(teacher.high, student.high):
        window = f"{_text(student.low)} … {_text(student.high)}"
        found = f"{names[1]}, which looks at values that the student's {names[0]} has clipped (to {window})"
        expected = "a student's window as wide as the teacher's"
    else:
        return
    fix = "give the student the teacher's intensity transforms (window, z_score, n4, clahe of the task)"
    raise UserError("the teacher's pre-processing", found=found, expected=expected, fix=fix)


def _beyond(inner: Tensor, outer: Tensor) -> bool:
    """Whether ``inner`` lies above ``outer`` by more than rounding."""
    return bool((inner > outer + 1e-4 * outer.abs().nan_to_num(posinf=0, neginf=0).clamp_min(1e-3)).any())


def _base(scaling: Scaling) -> str:
    return ", ".join((*scaling.root, scaling.statistic or "values as read"))
