"""What a file is: its kind, stem and hash; which files a folder has; how errors of decoders are told."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kdseg.errors import UserError

__all__ = ["content_hash", "decoding", "file_kind", "file_stem", "files_below", "has_dicom_mark", "natural_order"]

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
NIFTI_SUFFIXES = (".nii", ".nii.gz")
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pgm", ".bmp", ".gif")
WHOLE_SLIDE_SUFFIXES = (".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide")
KINDS = {"dicom": DICOM_SUFFIXES, "nifti": NIFTI_SUFFIXES, "picture": PICTURE_SUFFIXES, "slide": WHOLE_SLIDE_SUFFIXES}


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
    for kind, suffixes in KINDS.items():
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
    for suffix in sorted(sum(KINDS.values(), ()), key=len, reverse=True):
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


def natural_order(path: Path) -> list[tuple[int, str]]:
    """Sorts 2.png before 10.png."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(path))]


def files_below(folder: Path) -> list[Path]:
    """All files in a folder and its folders in natural order, but hidden ones and what archives of a Mac add.

    Raises:
        UserError: when there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(folder, found="no such file or folder", expected="images", fix="check the path")
    return [
        path
        for path in sorted(folder.rglob("*"), key=natural_order)
        if path.is_file() and not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(folder).parts)
    ]


@contextmanager
def decoding(name: str, found: str, expected: str) -> Iterator[None]:
    """Tell whatever a decoder runs into in a damaged file as one UserError; its warnings are kept quiet.

    Warnings and errors of decoders quote header values, and those may name a patient: quotations are left out.

    Args:
        name: of the file.
        found: such as "pixels that cannot be decoded"; the kind of the error is added.
        expected: such as "a whole picture".
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except UserError:
        raise
    except Exception as error:
        reason = re.sub(r"'[^']*'|\"[^\"]*\"", "…", str(error).split("\n")[0])[:200]
        fix = "copy or export the file again; it may be truncated or damaged"
        raise UserError(
            name, found=f"{found} ({type(error).__name__}: {reason})", expected=expected, fix=fix
        ) from error
