"""MONAI readers of angiograms and their masks: DICOM cines, plain pictures and NIfTI files, all alike."""

from __future__ import annotations

from typing import Any

import numpy as np

from kdseg.data.best_frame import vessel_contrast
from kdseg.data.frame_reader import FrameReader, two_valued
from kdseg.data.frame_source import FrameSource
from kdseg.errors import UserError, suggestion

__all__ = ["AngiogramReader", "MaskReader"]


class AngiogramReader(FrameReader):
    """Reads X-ray angiograms for ``LoadImaged(keys="image", reader="kdseg.data.AngiogramReader", frame="best")``.

    Files: XA DICOM, single- and multi-frame, of any usual transfer syntax; PNG, JPEG, TIFF, PGM, BMP; 2-D NIfTI.
    The same picture gives the same array from each of them.

    The array is float32 ``(C, W, H)`` in MONAI's order of axes, ``original_channel_dim`` is 0: C is 1 for one frame,
    and the number of frames for ``frame="all"``. Frames are channels and never a spatial axis, so that spatial
    transforms treat each frame as the 2-D picture it is.

    Values lie in [0, 1], scaled by the depth that the file declares (after modality LUT and VOI LUT or window in
    DICOM), not by what occurs in it, so that frames and files stay comparable. Vessels are dark in every file
    (MONOCHROME1 is inverted); colour becomes luminance. 10- or 12-bit values in a picture that declares 16 bits
    therefore look dark: scale the intensity in the transforms.

    The meta data hold ``affine`` (4×4, mm), ``spacing_known``, ``frame`` (-1 for all), ``frame_count``,
    ``file_format`` ("dicom", "picture", "nifti") and MONAI's own keys; nothing from the header that could name a
    patient. The spacing is PixelSpacing, else ImagerPixelSpacing over the magnification (see
    :func:`kdseg.data.dicom_frames.pixel_spacing`); unknown: identity.

    Args:
        frame: a frame's number from 0; "best": the frame with the most contrast-filled vessel
            (:func:`kdseg.data.best_frame.vessel_contrast`); "all": every frame, as channels.
        unknown: refused, with the near name; LoadImage itself would only warn of a mistyped setting.

    Raises:
        UserError: for an unknown setting; for a file that is missing, empty, truncated or no image; for a frame that
            is not there.

    Example:
        >>> import tempfile; from pathlib import Path; from PIL import Image; from monai.transforms import LoadImage
        >>> path = Path(tempfile.mkdtemp()) / "angiogram.png"
        >>> Image.fromarray(np.full((30, 40), 51, dtype=np.uint8)).save(path)
        >>> image = LoadImage(reader="kdseg.data.AngiogramReader", ensure_channel_first=True)(path)
        >>> tuple(image.shape), round(float(image.mean()), 3)
        ((1, 40, 30), 0.2)
    """

    def __init__(self, frame: int | str = "best", **unknown: Any) -> None:
        super().__init__(unknown, ["frame"])
        if not (isinstance(frame, int) and frame >= 0) and frame not in ("best", "all"):
            raise UserError(
                "frame",
                found=repr(frame),
                expected="a number from 0, 'best' or 'all'",
                fix=suggestion(str(frame), ["best", "all"]),
            )
        self.frame = frame

    def _chosen_frames(self, source: FrameSource, name: str) -> list[int]:
        if self.frame == "all":
            return list(range(source.count))
        if self.frame == "best":
            contrasts = (
                [vessel_contrast(source.grey(index)) for index in range(source.count)] if source.count > 1 else [0.0]
            )
            return [int(np.argmax(contrasts))]
        # a single picture beside cines is its only frame, whatever number was asked for
        index = int(self.frame) if source.count > 1 else 0
        if index >= source.count:
            raise UserError(
                name,
                found=f"{source.count} frames",
                expected=f"a frame {index} (counted from 0)",
                fix="choose a smaller number, or 'best'",
            )
        return [index]

    def _values(self, source: FrameSource, index: int, name: str) -> np.ndarray:
        return source.grey(index)[None]


class MaskReader(AngiogramReader):
    """Reads vessel masks as float32 0 or 1, in the same order of axes as :class:`AngiogramReader` reads the images.

    Which values are vessel: :func:`kdseg.data.frame_reader.two_valued`. In colour the brightest channel counts.

    Args:
        frame: as in :class:`AngiogramReader`; "best" is refused in a mask of several frames, because a mask has no
            contrast.

    Raises:
        UserError: as AngiogramReader, and for values that are neither 0/1 nor reach half of the depth, such as class
            numbers.
    """

    def _chosen_frames(self, source: FrameSource, name: str) -> list[int]:
        if self.frame == "best" and source.count > 1:
            raise UserError(
                name,
                found=f"a mask of {source.count} frames",
                expected="the number of a frame, because the best frame cannot be told from a mask",
                fix="set frame to the number of the frame that the masks belong to",
            )
        return super()._chosen_frames(source, name)

    def _values(self, source: FrameSource, index: int, name: str) -> np.ndarray:
        return two_valued(mask_values(source, index), source, name)[None]


def mask_values(source: FrameSource, index: int) -> np.ndarray:
    """Frame ``index`` of a mask as stored ``(W, H)``; in colour, the brightest channel."""
    values = source.read(index).astype(np.float32)
    return values.max(axis=-1) if values.ndim == 3 else values
