"""A mask saved in the formats that are wanted, each file whole or not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdseg.errors import UserError, suggestion
from kdseg.files import whole_file
from kdseg.masks.formats.capture import write_capture
from kdseg.masks.formats.contours import write_contours
from kdseg.masks.formats.frames import write_frames
from kdseg.masks.formats.plain import write_nifti, write_png
from kdseg.masks.formats.segmentation import write_segmentation
from kdseg.masks.mask import Mask
from kdseg.masks.names import OutputNames

__all__ = ["DICOM_FORMATS", "Format", "check_formats", "formats_of", "save_mask"]


@dataclass(frozen=True)
class Format:
    """How a mask is written.

    Attributes:
        suffix: of the file.
        write: the writer.
        word: at the end of the file's stem; None: the usual one.
    """

    suffix: str
    write: Callable[[Mask, Path], list[str]]
    word: str | None = None


def _write_seg(mask: Mask, path: Path) -> list[str]:
    return (write_segmentation if mask.is_volume else write_frames)(mask, path)


PNG, NIFTI = Format(".png", write_png), Format(".nii.gz", write_nifti)
DICOM_FORMATS = {
    "nifti": NIFTI,
    "seg": Format(".dcm", _write_seg),
    "rtstruct": Format(".dcm", write_contours, "contours"),
    "capture": Format(".dcm", write_capture, "overlay"),
}
"""What the mask of a DICOM image may be written as."""


def check_formats(names: Sequence[str]) -> tuple[str, ...]:
    """The names, if all of them are in ``DICOM_FORMATS``.

    Raises:
        UserError: for another name; the near one is told.
    """
    for name in names:
        if name not in DICOM_FORMATS:
            known = ", ".join(DICOM_FORMATS)
            raise UserError("format", found=f"'{name}'", expected=known, fix=suggestion(name, DICOM_FORMATS))
    return tuple(dict.fromkeys(names))


def formats_of(mask: Mask, dicom: Sequence[str] = ("nifti",)) -> list[Format]:
    """PNG of a plain picture, NIfTI of NIfTI files and of several plain pictures, the formats ``dicom`` of DICOM."""
    if mask.file_format == "dicom":
        return [DICOM_FORMATS[name] for name in check_formats(dicom)]
    return [PNG if mask.file_format == "picture" and len(mask.values) == 1 else NIFTI]


def save_mask(
    mask: Mask,
    names: OutputNames,
    dicom: Sequence[str] = ("nifti",),
    root: str | Path | None = None,
    overwrite: bool = False,
    key: str | None = None,
) -> tuple[list[Path], list[str]]:
    """Write a mask; the paths of its files, and remarks on what is not as one would wish.

    Args:
        mask: what to write.
        names: where.
        dicom: formats of the masks of DICOM images.
        root: whose folders are mirrored.
        overwrite: replace files that are there already.
        key: what the input is known by, see :meth:`OutputNames.path`.

    Raises:
        UserError: when there is a file in its place, or it cannot be written.
    """
    wanted = formats_of(mask, dicom)
    paths = [names.path(mask.source, form.suffix, root, form.word, key) for form in wanted]
    for path in paths:
        if path.exists() and not overwrite:
            fix = "name another folder, or replace it with --overwrite"
            raise UserError(path, found="a file that is there already", expected="none in the mask's place", fix=fix)
    remarks: list[str] = []
    for path, form in zip(paths, wanted, strict=True):
        with whole_file(path) as temporary:
            remarks += form.write(mask, temporary)
    return paths, list(dict.fromkeys(remarks))
