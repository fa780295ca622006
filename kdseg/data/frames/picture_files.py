"""Pictures as arrays, without torch: DICOM cines and slides, plain pictures, 2-D NIfTI and whole-slide files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdseg.data.formats.frame_source import FrameSource
from kdseg.data.frames.best_frame import vessel_contrast
from kdseg.data.frames.open_frames import open_frames
from kdseg.data.open import decoding
from kdseg.errors import UserError, suggestion

__all__ = ["PictureFiles"]

# pixels: no network sees anything in less
LEAST_SIDE = 4


class PictureFiles:
    """Reads pictures as :class:`kdseg.data.PictureReader` does, which is this for MONAI.

    Args:
        frame, colour, level: see there.

    Raises:
        UserError: see there.
    """

    def __init__(self, frame: int | str = "best", colour: bool = False, level: int = 0) -> None:
        if not (isinstance(frame, int) and frame >= 0) and frame not in ("best", "all"):
            raise UserError(
                "frame",
                found=repr(frame),
                expected="a number from 0, 'best' or 'all'",
                fix=suggestion(str(frame), ["best", "all"]),
            )
        self.frame = frame
        self.colour = colour
        self.level = level

    def get_data(self, img: Sequence[Path]) -> tuple[np.ndarray, dict[str, Any]]:
        """The array ``(C, W, H)`` and its meta data; several files are joined along the channels."""
        loaded = [self._load(path) for path in img]
        shapes = {array.shape[1:] for array, _ in loaded}
        if len(shapes) > 1:
            raise UserError(
                ", ".join(path.name for path in img),
                found=f"pictures of the sizes {sorted(shapes)}",
                expected="one size",
                fix="give files of one size, or one file at a time",
            )
        return np.concatenate([array for array, _ in loaded]), loaded[0][1]

    def _load(self, path: Path) -> tuple[np.ndarray, dict[str, Any]]:
        with decoding(path.name, "content that cannot be decoded", "a whole image file"):
            source = self.open_file(path)
            indices = self._chosen_frames(source, path.name)
            array = np.concatenate([self._values(source, index, path.name) for index in indices])
        affine = np.eye(4) if source.affine is None else source.affine.copy()
        return array, {
            # MONAI's names
            "affine": affine,
            "original_affine": affine.copy(),
            "spatial_shape": np.asarray(array.shape[1:]),
            "original_channel_dim": 0,
            "spacing_known": source.affine is not None and source.spacing_known,
            "frame": indices[0] if len(indices) == 1 else -1,
            "frame_count": source.count,
            "file_format": source.file_format,
        }

    def open_file(self, path: Path) -> FrameSource:
        """The file's frames, before anything is taken of them: one, for a slide or a level of it."""
        return open_frames(path, self.level)

    def _chosen_frames(self, source: FrameSource, name: str) -> list[int]:
        if self.frame == "all":
            return list(range(source.count))
        # a single picture beside cines is its only frame, whatever number was asked for
        if source.count == 1:
            return [0]
        if self.frame == "best":
            return [int(np.argmax([vessel_contrast(source.grey(index)) for index in range(source.count)]))]
        if int(self.frame) >= source.count:
            raise UserError(
                name,
                found=f"{source.count} frames",
                expected=f"a frame {self.frame} (counted from 0)",
                fix="choose a smaller number, or 'best'",
            )
        return [int(self.frame)]

    def _values(self, source: FrameSource, index: int, name: str) -> np.ndarray:
        """The channels ``(C, W, H)`` of a frame."""
        values = source.colour(index) if self.colour else source.grey(index)[None]
        if min(values.shape[1:]) < LEAST_SIDE:
            found, expected = f"a picture of {values.shape[1]}×{values.shape[2]} pixels", f"{LEAST_SIDE} or more a side"
        elif not np.isfinite(values).all():
            found, expected = f"values that are no numbers ({(~np.isfinite(values)).sum()})", "a number in every pixel"
        else:
            return values
        raise UserError(name, found=found, expected=expected, fix="export the picture again, or leave it out")
