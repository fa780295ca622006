"""MONAI readers of pathology fields and their masks: pictures, DICOM slide microscopy, levels of whole-slide files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kdseg.data.angiogram_reader import mask_values
from kdseg.data.files import WHOLE_SLIDE_SUFFIXES
from kdseg.data.frame_reader import FrameReader, two_valued
from kdseg.data.frame_source import FrameSource, open_frames
from kdseg.errors import UserError
from kdseg.losses import IGNORED

__all__ = ["PathologyMaskReader", "PathologyReader"]


class PathologyReader(FrameReader):
    """Reads fields of stained tissue for ``LoadImaged(keys="image", reader="kdseg.data.PathologyReader")``.

    Files: PNG, JPEG, TIFF (strips or tiles, 8 or 16 bits), BMP; DICOM slide microscopy (tiles put together by their
    positions, see :func:`kdseg.data.slide_frames.open_slide`) and other single-frame DICOM; whole-slide files through
    MONAI's WSIReader (see :func:`kdseg.data.whole_slide.open_whole_slide`). The same picture gives the same array from
    each of them.

    The array is float32 ``(C, W, H)`` in MONAI's order of axes, C is 1 or 3, ``original_channel_dim`` is 0. Values lie
    in [0, 1], scaled by the depth that the file declares. The meta data are those of AngiogramReader: ``affine`` with
    the spacing in mm where DICOM or a slide says it, ``spacing_known``, ``file_format``; nothing that names a patient.

    Args:
        colour: three channels, red, green and blue; otherwise one, the luminance, as Graph Flow's networks take it.
        level: of a whole-slide file or a TIFF pyramid: 0 is full resolution.
        unknown: refused, with the near name.

    Raises:
        UserError: for an unknown setting; for a file that is missing, empty, truncated or no image; for a field of
            more than 178 million pixels; for a level that is not there, or one other than 0 of a plain file.

    Example:
        >>> import tempfile; from PIL import Image; from monai.transforms import LoadImage
        >>> path = Path(tempfile.mkdtemp()) / "field.png"
        >>> Image.new("RGB", (40, 30), (255, 0, 0)).save(path)
        >>> image = LoadImage(reader="kdseg.data.PathologyReader", colour=True, ensure_channel_first=True)(path)
        >>> tuple(image.shape), image[:, 0, 0].tolist()
        ((3, 40, 30), [1.0, 0.0, 0.0])
    """

    def __init__(self, colour: bool = False, level: int = 0, **unknown: Any) -> None:
        super().__init__(unknown, ["colour", "level"])
        self.colour = colour
        self.level = level

    def open_file(self, path: Path) -> FrameSource:
        """The file's frames: one, for a slide or a level of it."""
        suffix = path.suffix.lower()
        if suffix in WHOLE_SLIDE_SUFFIXES or (self.level and suffix in (".tif", ".tiff")):
            from kdseg.data.whole_slide import open_whole_slide

            return open_whole_slide(path, self.level)
        if self.level:
            raise UserError(
                path.name,
                found=f"level {self.level} of a file that has no levels",
                expected="level 0, or a whole-slide file",
                fix="set level to 0",
            )
        return open_frames(path)

    def _chosen_frames(self, source: FrameSource, name: str) -> list[int]:
        # further pages of a TIFF are lower levels or thumbnails; further frames of DICOM would be other pictures
        if source.count > 1 and source.file_format == "dicom":
            raise UserError(
                name,
                found=f"{source.count} frames that are no tiles of a slide",
                expected="slide microscopy, or a single frame",
                fix="export the frame that is meant",
            )
        return [0]

    def _values(self, source: FrameSource, index: int, name: str) -> np.ndarray:
        return source.colour(index) if self.colour else source.grey(index)[None]


class PathologyMaskReader(PathologyReader):
    """Reads tissue masks as float32 class numbers 0 and 1, and 255 where a pixel is to be ignored.

    Files as of :class:`PathologyReader`. Values: see :func:`kdseg.data.frame_reader.two_valued`; in colour the
    brightest channel counts.

    Args:
        ignored: the value that marks pixels to be left out of training and measuring, for instance 128 in a mask of 0
            and 255, or 255 in a mask of class numbers 0 and 1. None: there are none.
        level: as of the image, for masks that are whole-slide files; other masks are of that level's size already.

    Raises:
        UserError: as PathologyReader and two_valued.

    Example:
        >>> import tempfile; from PIL import Image; from monai.transforms import LoadImage
        >>> path = Path(tempfile.mkdtemp()) / "mask.png"
        >>> Image.fromarray(np.array([[0, 128, 255]], dtype=np.uint8)).save(path)
        >>> LoadImage(reader="kdseg.data.PathologyMaskReader", ignored=128)(path).flatten().tolist()
        [0.0, 255.0, 1.0]
    """

    def __init__(self, ignored: int | None = None, level: int = 0, **unknown: Any) -> None:
        FrameReader.__init__(self, unknown, ["ignored", "level"])
        self.ignored = ignored
        self.level = level

    def open_file(self, path: Path) -> FrameSource:
        """The file's frames; of a whole-slide file the level."""
        return super().open_file(path) if path.suffix.lower() in WHOLE_SLIDE_SUFFIXES else open_frames(path)

    def _values(self, source: FrameSource, index: int, name: str) -> np.ndarray:
        values = mask_values(source, index)
        left_out = np.zeros(values.shape, bool) if self.ignored is None else values == self.ignored
        mask = np.full(values.shape, IGNORED, np.float32)
        mask[~left_out] = two_valued(values[~left_out], source, name)
        return mask[None]
