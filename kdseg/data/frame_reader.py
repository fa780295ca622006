"""What kdseg's MONAI readers of 2-D images share: any file kind, errors in one message, meta data that name nobody."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import PathLike
from monai.data.image_reader import ImageReader
from monai.utils import MetaKeys, ensure_tuple

from kdseg.data.frame_source import FrameSource, open_frames
from kdseg.errors import UserError, suggestion

__all__ = ["FrameReader", "two_valued"]


class FrameReader(ImageReader):
    """Base of the readers: opens a file, takes frames of it, and gives them as channels ``(C, W, H)`` with meta data.

    A subclass says what the values are (:meth:`_values`) and, where it differs, how a file is opened and which of its
    frames are taken.

    Args:
        unknown: settings that the subclass does not have; LoadImage itself would only warn of them.
        known: the subclass's settings, for the message.

    Raises:
        UserError: when there is an unknown setting; the near name is told.
    """

    def __init__(self, unknown: Mapping[str, Any], known: Sequence[str]) -> None:
        super().__init__()
        for name in unknown:
            raise UserError(
                name,
                found="a setting that the reader does not have",
                expected=" or ".join(known),
                fix=suggestion(name, known),
            )

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Any file may be tried: DICOM files often have no suffix."""
        return all(Path(name).is_file() for name in ensure_tuple(filename))

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> list[Path]:
        """Keep the paths; the files are opened by :meth:`get_data`.

        LoadImage answers a failing ``read`` by trying MONAI's other readers, and those take frames for a spatial axis
        or read half of a truncated file without a word. An error of ``get_data`` reaches the user.
        """
        return [Path(name) for name in ensure_tuple(data)]

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
        try:
            with warnings.catch_warnings():
                # pydicom's warnings quote header values, and those may name a patient
                warnings.simplefilter("ignore")
                source = self.open_file(path)
                indices = self._chosen_frames(source, path.name)
                array = np.concatenate([self._values(source, index, path.name) for index in indices])
        except UserError:
            raise
        except Exception as error:
            # damaged content raises whatever the decoder happens to run into; what it quotes may come from the header
            reason = re.sub(r"'[^']*'|\"[^\"]*\"", "…", str(error).split("\n")[0])[:200]
            raise UserError(
                path.name,
                found=f"content that cannot be decoded ({type(error).__name__}: {reason})",
                expected="a whole image file",
                fix="copy or export the file again; it may be truncated or damaged",
            ) from error
        return array, {
            MetaKeys.AFFINE.value: source.affine.copy(),
            MetaKeys.ORIGINAL_AFFINE.value: source.affine.copy(),
            MetaKeys.SPATIAL_SHAPE.value: np.asarray(array.shape[1:]),
            MetaKeys.ORIGINAL_CHANNEL_DIM.value: 0,
            "spacing_known": source.spacing_known,
            "frame": indices[0] if len(indices) == 1 else -1,
            "frame_count": source.count,
            "file_format": source.file_format,
        }

    def open_file(self, path: Path) -> FrameSource:
        """The file's frames, before anything is taken of them."""
        return open_frames(path)

    def _chosen_frames(self, source: FrameSource, name: str) -> list[int]:
        return [0]

    def _values(self, source: FrameSource, index: int, name: str) -> np.ndarray:
        """The channels ``(C, W, H)`` of a frame."""
        raise NotImplementedError


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
        raise UserError(
            name,
            found=f"values from {least:g} to {greatest:g}",
            expected=f"0 and 1, or 0 and {source.high:g}",
            fix="save the mask with two values, 0 for background and 255 for what is segmented",
        )
    return (values > half).astype(np.float32)
