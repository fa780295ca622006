"""What readers of files need: what a file is, its stem, its hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["content_hash", "file_kind", "file_stem"]

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
NIFTI_SUFFIXES = (".nii", ".nii.gz")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pgm", ".bmp", ".gif")
WHOLE_SLIDE_SUFFIXES = (".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide")


def has_dicom_mark(path: Path) -> bool:
    """Whether the file begins as DICOM files do: 128 bytes of anything, then "DICM"."""
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def file_kind(path: Path) -> str | None:
    """ "dicom", "nifti", "picture", "slide" (whole-slide files), or None for a file that is no image.

    Scanners and archives write DICOM files without a suffix, or with a number as the last part of their name, so a file
    of an unknown suffix is looked into.
    """
    name = path.name.lower()
    kinds = {
        "dicom": DICOM_SUFFIXES,
        "nifti": NIFTI_SUFFIXES,
        "picture": PICTURE_SUFFIXES,
        "slide": WHOLE_SLIDE_SUFFIXES,
    }
    for kind, suffixes in kinds.items():
        if name.endswith(suffixes):
            return kind
    unknown_suffix = path.suffix == "" or path.suffix[1:].isdigit()
    return "dicom" if unknown_suffix and name != "dicomdir" and has_dicom_mark(path) else None


def file_stem(path: Path) -> str:
    """The name without its image suffix; ``1.2.840.7`` keeps its last part, ``case.nii.gz`` loses both.

    Example:
        >>> file_stem(Path("case.nii.gz")), file_stem(Path("1.2.840.7")), file_stem(Path("12.PNG"))
        ('case', '1.2.840.7', '12')
    """
    # longest first, so that .nii.gz goes as a whole
    for suffix in sorted(
        DICOM_SUFFIXES + NIFTI_SUFFIXES + PICTURE_SUFFIXES + WHOLE_SLIDE_SUFFIXES, key=len, reverse=True
    ):
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    return path.name


def content_hash(path: str | Path) -> str:
    """The SHA-256 of the bytes of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
