"""What kdseg's MONAI readers share: any file may be tried, errors reach the user, unknown settings are refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from monai.config import PathLike
from monai.data.image_reader import ImageReader
from monai.utils import ensure_tuple

from kdseg.errors import UserError, suggestion

__all__ = ["FileReader"]


class FileReader(ImageReader):
    """Base of the readers; a subclass opens the files in ``get_data``.

    Args:
        settings: names of what the subclass is given; LoadImage itself would only warn of an unknown one.
        known: the settings that the subclass has.

    Raises:
        UserError: when there is an unknown setting; the near name is told.
    """

    def __init__(self, settings: Iterable[str], known: Sequence[str]) -> None:
        super().__init__()
        for name in settings:
            if name in known:
                continue
            found = "a setting that the reader does not have"
            raise UserError(name, found=found, expected=" or ".join(known), fix=suggestion(name, known))

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Any file or folder may be tried: DICOM files often have no suffix."""
        return all(Path(name).exists() for name in ensure_tuple(filename))

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> list[Path]:
        """Keep the paths; the files are opened by ``get_data``.

        LoadImage answers a failing ``read`` by trying MONAI's other readers, and those take frames for a spatial axis,
        missing slices without a word, or half of a truncated file. An error of ``get_data`` reaches the user.
        """
        return [Path(name) for name in ensure_tuple(data)]
