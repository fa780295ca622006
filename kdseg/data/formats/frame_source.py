"""What every format of pictures gives: an opened file as frames that are read one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["FrameSource", "affine_of"]

# ITU-R BT.601, the luminance that PNG and JPEG tools use: a grey picture saved as RGB comes back unchanged
LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class FrameSource:
    """Frames of a file before any scaling."""

    # gives a frame, by its number, as stored values (W, H), or (W, H, 3) in colour; axes in MONAI's order
    read: Callable[[int], np.ndarray]
    count: int  # the number of frames
    # low, high: the values that the file's depth (or its display window) calls black and white
    low: float
    high: float
    file_format: str  # "dicom", "nifti" or "picture"
    affine: np.ndarray | None = None  # 4×4, voxel to millimetres; None where nothing is known of it
    spacing_known: bool = True  # whether affine speaks of millimetres, where there is one

    def grey(self, index: int) -> np.ndarray:
        """Frame ``index`` as float32 luminance ``(W, H)`` in [0, 1]."""
        values = self.read(index).astype(np.float32)
        if values.ndim == 3:
            values = values @ LUMINANCE
        return self._scaled(values)

    def colour(self, index: int) -> np.ndarray:
        """Frame ``index`` as float32 ``(3, W, H)`` in [0, 1]; grey three times where the file has no colour."""
        values = self.read(index).astype(np.float32)
        values = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=-1)
        return np.ascontiguousarray(self._scaled(values).transpose(2, 0, 1))

    def _scaled(self, values: np.ndarray) -> np.ndarray:
        return np.clip((values - self.low) / (self.high - self.low), 0, 1)


def affine_of(spacing: tuple[float, float] | None) -> np.ndarray | None:
    """The affine of a picture with this spacing (along a row, along a column) in mm."""
    return None if spacing is None else np.diag([*spacing, 1.0, 1.0])
