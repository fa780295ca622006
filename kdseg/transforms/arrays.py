"""What transforms compute on arrays, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

from kdseg.errors import UserError

__all__ = ["check_simpleitk", "corrected_bias_field", "equalised"]


def equalised(image: np.ndarray, clip_limit: float = 0.01, tile: int | Sequence[int] | None = None) -> np.ndarray:
    """Contrast-limited adaptive histogram equalisation of each channel ``CH[WD]``, values in [0, 1], by scikit-image.

    Args:
        image, clip_limit, tile: see :class:`kdseg.transforms.ContrastLimitedHistogramEqualisation`.

    Raises:
        UserError: for values outside [0, 1].
    """
    from skimage.exposure import equalize_adapthist

    if not (image.min() >= 0 and image.max() <= 1):
        raise UserError(
            "ContrastLimitedHistogramEqualisation",
            found=f"values from {image.min():g} to {image.max():g}",
            expected="values in [0, 1]",
            fix="put it before normalisation, or scale the intensity to [0, 1] first",
        )
    done = [
        equalize_adapthist(channel, kernel_size=tile, clip_limit=clip_limit)
        if channel.min() < channel.max()
        else channel
        for channel in image
    ]
    return np.stack(done).astype(np.float32)


def check_simpleitk() -> None:
    """Refuse the correction of the bias field where SimpleITK is not installed; it is large.

    Raises:
        UserError: with what to install.
    """
    if find_spec("SimpleITK") is None:
        fix = "pip install 'kdseg[n4]'"
        raise UserError("n4", found="no package 'SimpleITK'", expected="it, for the bias field", fix=fix)


def corrected_bias_field(
    image: np.ndarray, spacing: Sequence[float], shrink: int = 4, iterations: Sequence[int] = (50, 50, 30)
) -> np.ndarray:
    """N4 bias-field correction of each channel ``CHW[D]``, by SimpleITK.

    Args:
        image, shrink, iterations: see :class:`kdseg.transforms.N4BiasFieldCorrectiond`.
        spacing: mm of each axis.
    """
    return np.stack([_corrected(channel, spacing, shrink, iterations) for channel in image])


def _corrected(channel: np.ndarray, spacing: Sequence[float], shrink: int, iterations: Sequence[int]) -> np.ndarray:
    import SimpleITK

    values = channel.astype(np.float32)
    lowest = float(values.min())
    # SimpleITK's order of axes is the reverse of the array's
    image = SimpleITK.GetImageFromArray(values - lowest + 1)
    image.SetSpacing([float(length) for length in reversed(spacing)])
    factors = [1 if values.ndim == 3 and axis == 0 else shrink for axis in range(values.ndim)]
    small = SimpleITK.Shrink(image, factors)
    corrector = SimpleITK.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations([int(number) for number in iterations])
    corrector.Execute(small, SimpleITK.OtsuThreshold(small, 0, 1))
    field = np.exp(SimpleITK.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(image)))
    return (values - lowest + 1) / field
