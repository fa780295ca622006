"""MONAI reader of the masks of pictures: black and white, or class numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdseg.data.formats.file_reader import FileReader
from kdseg.data.formats.frame_source import FrameSource
from kdseg.data.frames.open_frames import open_frames
from kdseg.data.frames.picture_files import PictureFiles
from kdseg.data.frames.picture_reader import PictureReader
from kdseg.data.open import WHOLE_SLIDE_SUFFIXES
from kdseg.errors import UserError
from kdseg.losses import IGNORED

__all__ = ["MaskReader", "mask_values", "two_valued"]


class MaskReader(PictureReader):
    """Reads masks as float32 class numbers ``(1, W, H)``, in the same order of axes as PictureReader reads the images.

    In colour the brightest channel counts.

    Args:
        frame: as in :class:`PictureReader`; "best" is refused in a mask of several frames, because a mask has no
            contrast.
        level: as of the image, for masks that are whole-slide files; other masks are of that level's size already.
        ignored: the value that marks pixels to be left out of training and measuring, for instance 128 in a mask of 0
            and 255, or 255 in a mask of class numbers; such pixels become 255. None: there are none.
        values: the class numbers that a mask may hold, kept as they are. None: masks of two values, which become 0 and
            1 (:func:`two_valued`).
        unknown: refused, with the near name.

    Raises:
        UserError: as PictureReader, and for other values.

    Example:
        >>> import tempfile; from PIL import Image; from monai.transforms import LoadImage
        >>> path = Path(tempfile.mkdtemp()) / "mask.png"
        >>> Image.fromarray(np.array([[0, 128, 255]], dtype=np.uint8)).save(path)
        >>> LoadImage(reader="kdseg.data.MaskReader", ignored=128)(path).flatten().tolist()
        [0.0, 255.0, 1.0]
    """

    def __init__(
        self,
        frame: int | str = "best",
        level: int = 0,
        ignored: int | None = None,
        values: Sequence[int] | None = None,
        **unknown: Any,
    ) -> None:
        # not the constructor of PictureReader, whose colour a mask does not have
        FileReader.__init__(self, unknown, ["frame", "level", "ignored", "values"])
        PictureFiles.__init__(self, frame, level=level)
        self.ignored = ignored
        self.values = None if values is None else [int(value) for value in values]

    def open_file(self, path: Path) -> FrameSource:
        """The file's frames; of a whole-slide file the level."""
        return open_frames(
            path, self.level if path.suffix.lower() in WHOLE_SLIDE_SUFFIXES else 0, indices=self.values is not None
        )

    def _chosen_frames(self, source: FrameSource, name: str) -> list[int]:
        if self.frame == "best" and source.count > 1:
            expected = "the number of a frame, because the best frame cannot be told from a mask"
            fix = "set frame to the number of the frame that the masks belong to"
            raise UserError(name, found=f"a mask of {source.count} frames", expected=expected, fix=fix)
        return super()._chosen_frames(source, name)

    def _values(self, source: FrameSource, index: int, name: str) -> np.ndarray:
        values = mask_values(source, index)
        counted = np.ones(values.shape, bool) if self.ignored is None else values != self.ignored
        mask = np.full(values.shape, IGNORED, np.float32)
        if self.values is None:
            mask[counted] = two_valued(values[counted], source, name)
        else:
            mask[counted] = values[counted]
            self._check_classes(values[counted], name)
        return mask[None]

    def _check_classes(self, values: np.ndarray, name: str) -> None:
        unnamed = sorted(set(np.unique(values).tolist()) - set(self.values or ()))
        if unnamed:
            found = f"mask values without a name: {', '.join(f'{value:g}' for value in unnamed[:5])}"
            expected = f"the class numbers {', '.join(map(str, self.values or ()))}"
            fix = 'name the values in the data list\'s "labels", or mend the mask (JPEG changes values)'
            raise UserError(name, found=found, expected=expected, fix=fix)


def mask_values(source: FrameSource, index: int) -> np.ndarray:
    """Frame ``index`` of a mask as stored ``(W, H)``; in colour, the brightest channel."""
    values = source.read(index).astype(np.float32)
    return values.max(axis=-1) if values.ndim == 3 else values


def two_valued(values: np.ndarray, source: FrameSource, name: str) -> np.ndarray:
    """Turn a mask's stored values into float32 0 and 1.

    Masks as they occur: 0/1, or 0 and the greatest value of the file's depth with stray greys from JPEG or resampling
    (foreground is what lies above half of the depth: > 127 in 8 bits).

    Raises:
        UserError: for values that are neither 0/1 nor reach half of the depth, such as class numbers.
    """
    least, greatest = float(values.min(initial=0)), float(values.max(initial=0))
    if greatest <= 1:
        return (values > 0.5).astype(np.float32)
    half = (source.low + source.high) / 2
    if greatest <= half or least < 0:
        found = f"values from {least:g} to {greatest:g}"
        fix = "save the mask with two values, 0 for background and 255 for what is segmented"
        raise UserError(name, found=found, expected=f"0 and 1, or 0 and {source.high:g}", fix=fix)
    return (values > half).astype(np.float32)
