"""Opens an image file of any kind as frames."""

from __future__ import annotations

from pathlib import Path

from kdseg.data.formats.dicom.cines import open_dicom
from kdseg.data.formats.dicom.headers import no_dicom
from kdseg.data.formats.frame_source import FrameSource
from kdseg.data.formats.nifti import open_nifti
from kdseg.data.formats.pictures import open_picture
from kdseg.data.formats.slides import open_whole_slide
from kdseg.data.open import DICOM_SUFFIXES, NIFTI_SUFFIXES, WHOLE_SLIDE_SUFFIXES, has_dicom_mark
from kdseg.errors import UserError

__all__ = ["open_frames"]


def open_frames(path: Path, level: int = 0, indices: bool = False) -> FrameSource:
    """Open a DICOM file, a NIfTI file, a plain picture or a whole-slide file; the content decides before the suffix.

    Args:
        path: of the file.
        level: of a whole-slide file or a TIFF pyramid; 0 is full resolution.
        indices: see :func:`kdseg.data.formats.pictures.open_picture`.

    Raises:
        UserError: when the file is missing, empty, not what its suffix says, or has no such level. The libraries' own
            errors on damaged content pass through; the readers turn them into a UserError as well.
    """
    name = path.name.lower()
    if not path.is_file():
        raise UserError(path.name, found="no such file", expected="an image file", fix="check the path")
    if path.stat().st_size == 0:
        raise UserError(path.name, found="an empty file", expected="an image", fix="copy or export the file again")
    if name.endswith(WHOLE_SLIDE_SUFFIXES) or (level and name.endswith((".tif", ".tiff"))):
        return open_whole_slide(path, level)
    if level:
        found = f"level {level} of a file that has no levels"
        raise UserError(path.name, found=found, expected="level 0, or a whole-slide file", fix="set level to 0")
    if has_dicom_mark(path):
        return open_dicom(path)
    if name.endswith(DICOM_SUFFIXES):
        raise no_dicom(path)
    if name.endswith(NIFTI_SUFFIXES):
        return open_nifti(path)
    return open_picture(path, indices)
