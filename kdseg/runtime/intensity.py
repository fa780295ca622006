"""From the values of a file to those that the network is fed, on arrays: what the task's intensity steps say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kdseg.errors import UserError
from kdseg.task.steps import Step, intensity_steps
from kdseg.task.task import Task
from kdseg.transforms import corrected_bias_field, equalised

__all__ = ["with_intensity"]


def with_intensity(task: Task, image: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The image ``CWH[D]`` in float32 as the task's network wants its values.

    Raises:
        UserError: for a step that needs torch.
    """
    for step in intensity_steps(task):
        settings = {key: value for key, value in step.items() if key not in ("_target_", "keys")}
        image = known(STEPS, step, task)(image, affine, **settings)
    return image


def known(steps: Mapping[str, Callable[..., Any]], step: Step, task: Task) -> Callable[..., Any]:
    """What does a step on arrays.

    Raises:
        UserError: where nothing does.
    """
    name = step["_target_"].rpartition(".")[2]
    if name not in steps:
        raise UserError(
            f"task '{task.name}'",
            found=f"the step {name}, which has no form without torch",
            expected=", ".join(steps),
            fix="install torch and MONAI, and use the student's own folder or --runtime torchscript",
        )
    return steps[name]


def _range(
    image: np.ndarray, _: np.ndarray, a_min: float, a_max: float, b_min: float, b_max: float, clip: bool
) -> np.ndarray:
    scaled = (image - np.float32(a_min)) / np.float32(a_max - a_min) * np.float32(b_max - b_min) + np.float32(b_min)
    return np.clip(scaled, b_min, b_max) if clip else scaled


def _normalised(image: np.ndarray, _: np.ndarray, channel_wise: bool) -> np.ndarray:
    """Mean 0 and standard deviation 1, of all or of each channel; one of a single grey becomes 0."""
    axes = tuple(range(1, image.ndim)) if channel_wise else None
    # what is no number is told of when the network is fed
    with np.errstate(invalid="ignore"):
        mean, deviation = (
            function(image, axis=axes, keepdims=True, dtype=np.float64).astype(np.float32)
            for function in (np.mean, np.std)
        )
        return (image - mean) / np.where(deviation == 0, np.float32(1), deviation)


def _without_bias_field(image: np.ndarray, affine: np.ndarray) -> np.ndarray:
    spacing = np.linalg.norm(affine[:3, : image.ndim - 1], axis=0)
    return corrected_bias_field(image, spacing.tolist()).astype(np.float32)


STEPS: Mapping[str, Callable[..., np.ndarray]] = {
    "N4BiasFieldCorrectiond": _without_bias_field,
    "ContrastLimitedHistogramEqualisationd": lambda image, _: equalised(image),
    "ScaleIntensityRanged": _range,
    "NormalizeIntensityd": _normalised,
}
"""Name of a transform → the same on an array and its affine."""
