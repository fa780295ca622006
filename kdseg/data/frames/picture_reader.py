"""MONAI reader of pictures: DICOM cines and slides, plain pictures, 2-D NIfTI and whole-slide files, all alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.utils import MetaKeys

from kdseg.data.formats.file_reader import FileReader
from kdseg.data.formats.frame_source import FrameSource
from kdseg.data.frames.best_frame import vessel_contrast
from kdseg.data.frames.open_frames import open_frames
from kdseg.data.open import decoding
from kdseg.errors import UserError, suggestion

__all__ = ["PictureReader"]

# pixels: no network sees anything in less
LEAST_SIDE = 4


class PictureReader(FileReader):
    """Reads pictures for ``LoadImaged(keys="image", reader="kdseg.data.PictureReader", frame="best")``.

    Files: DICOM of any usual transfer syntax, single- and multi-frame, slide microscopy (tiles put together by their
    positions); PNG, JPEG, TIFF (strips or tiles, 8 or 16 bits), PGM, BMP; 2-D NIfTI; whole-slide files through MONAI's
    WSIReader. The same picture gives the same array from each of them.

    The array is float32 ``(C, W, H)`` in MONAI's order of axes, ``original_channel_dim`` is 0: C is 1 for one frame in
    grey and 3 in colour, times the number of frames for ``frame="all"``. Frames are channels and never a spatial axis,
    so that spatial transforms treat each frame as the 2-D picture it is.

    Values lie in [0, 1], scaled by the depth that the file declares (after modality LUT and VOI LUT or window in
    DICOM), not by what occurs in it, so that frames and files stay comparable. Vessels are dark in every file
    (MONOCHROME1 is inverted). 10- or 12-bit values in a picture that declares 16 bits therefore look dark: scale the
    intensity in the transforms.

    The meta data hold ``affine`` (4×4, mm), ``spacing_known``, ``frame`` (-1 for all), ``frame_count``,
    ``file_format`` ("dicom", "picture", "nifti") and MONAI's own keys; nothing from the header that could name a
    patient. The spacing is what DICOM (see :func:`kdseg.data.formats.dicom.cines.pixel_spacing`) or a slide says;
    unknown: identity.

    Args:
        frame: a frame's number from 0; "best": the frame with the most contrast-filled vessel
            (:func:`kdseg.data.frames.best_frame.vessel_contrast`); "all": every frame, as channels.
        colour: red, green and blue; otherwise the luminance.
        level: of a whole-slide file or a TIFF pyramid: 0 is full resolution.
        unknown: refused, with the near name; LoadImage itself would only warn of a mistyped setting.

    Raises:
        UserError: for an unknown setting; for a file that is missing, empty, truncated or no image; for a frame or
            level that is not there; for a field of more than 178 million pixels, or of fewer than 4 along a side; for
            values that are no numbers.

    Example:
        >>> import tempfile; from PIL import Image; from monai.transforms import LoadImage
        >>> path = Path(tempfile.mkdtemp()) / "field.png"
        >>> Image.new("RGB", (40, 30), (255, 0, 0)).save(path)
        >>> image = LoadImage(reader="kdseg.data.PictureReader", colour=True, ensure_channel_first=True)(path)
        >>> tuple(image.shape), image[:, 0, 0].tolist()
        ((3, 40, 30), [1.0, 0.0, 0.0])
    """

    def __init__(self, frame: int | str = "best", colour: bool = False, level: int = 0, **unknown: Any) -> None:
        super().__init__(unknown, ["frame", "colour", "level"])
        if not (isinstance(frame, int) and frame >= 0) and frame not in ("best", "all"):
            expected = "a number from 0, 'best' or 'all'"
            raise UserError("frame", found=repr(frame), expected=expected, fix=suggestion(str(frame), ["best", "all"]))
        self.frame = frame
        self.colour = colour
        self.level = level

    def get_data(self, img: Sequence[Path]) -> tuple[np.ndarray, dict[str, Any]]:
        """The array ``(C, W, H)`` and its meta data; several files are joined along the channels."""
        loaded = [self._load(path) for path in img]
        shapes = {array.shape[1:] for array, _ in loaded}
        if len(shapes) > 1:
            found, fix = f"pictures of the sizes {sorted(shapes)}", "give files of one size, or one file at a time"
            raise UserError(", ".join(path.name for path in img), found=found, expected="one size", fix=fix)
        return np.concatenate([array for array, _ in loaded]), loaded[0][1]

    def _load(self, path: Path) -> tuple[np.ndarray, dict[str, Any]]:
        with decoding(path.name, "content that cannot be decoded", "a whole image file"):
            source = self.open_file(path)
            indices = self._chosen_frames(source, path.name)
            array = np.concatenate([self._values(source, index, path.name) for index in indices])
        affine = np.eye(4) if source.affine is None else source.affine.copy()
        return array, {
            MetaKeys.AFFINE.value: affine,
            MetaKeys.ORIGINAL_AFFINE.value: affine.copy(),
            MetaKeys.SPATIAL_SHAPE.value: np.asarray(array.shape[1:]),
            MetaKeys.ORIGINAL_CHANNEL_DIM.value: 0,
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
            found, expected = f"{source.count} frames", f"a frame {self.frame} (counted from 0)"
            raise UserError(name, found=found, expected=expected, fix="choose a smaller number, or 'best'")
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
