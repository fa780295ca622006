"""Zip archives of images, unpacked only after a look at what they claim to hold."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from kdseg.errors import UserError

__all__ = ["is_archive", "unpack"]

# how many times larger than the archive its files may be: images shrink to a half or a tenth, empty masks to a
# hundredth; a bomb is thousands of times larger
GREATEST_RATIO = 200
# bytes: what is smaller is no danger, whatever its ratio
HARMLESS = 1 << 28
MOST_FILES = 200_000


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive by its name."""
    return path.suffix.lower() == ".zip" and path.is_file()


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an archive into a new folder of its name in ``folder``.

    Names, sizes and the room on the disk are looked at before anything is written. Links and nested archives stay
    unused.

    Raises:
        UserError: when it is damaged or encrypted, a name leads out of the folder, or it is too large.
    """
    target = folder / archive.stem
    while target.exists():
        target = target.with_name(f"{target.name}_")
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [entry for entry in opened.infolist() if not entry.is_dir() and not _is_link(entry)]
            _check(archive, members, folder)
            for member in members:
                path = target / PurePosixPath(member.filename)
                path.parent.mkdir(parents=True, exist_ok=True)
                # zipfile gives no more bytes than the entry claims
                with opened.open(member) as source, path.open("wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        found = f"an archive that cannot be unpacked ({type(error).__name__})"
        fix = "pack the files again, without a password"
        raise UserError(archive.name, found=found, expected="a whole zip archive", fix=fix) from error
    # as old as the archive, so that a second run knows what is done
    when = archive.stat().st_mtime
    for path in target.rglob("*"):
        os.utime(path, (when, when))
    return target


def _is_link(entry: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(entry.external_attr >> 16)


def _check(archive: Path, members: list[zipfile.ZipInfo], folder: Path) -> None:
    fault = expected = ""
    size, packed = sum(entry.file_size for entry in members), archive.stat().st_size
    outside = next((entry for entry in members if _leads_out(entry.filename)), None)
    free = shutil.disk_usage(folder).free
    if outside is not None:
        fault, expected = "a name that leads out of the archive's folder", "names below it"
    elif any(entry.flag_bits & 1 for entry in members):
        fault, expected = "files with a password", "an archive without one"
    elif len(members) > MOST_FILES:
        fault, expected = f"{len(members)} files", f"at most {MOST_FILES}"
    elif size > HARMLESS and size > GREATEST_RATIO * packed:
        fault = f"{size / 1e9:.1f} GB packed into {packed / 1e6:.1f} MB, as no images are"
        expected = f"at most {GREATEST_RATIO} times the size of the archive"
    elif size > 0.9 * free:
        fault, expected = f"{size / 1e9:.1f} GB", f"what the disk has room for ({free / 1e9:.1f} GB)"
    if fault:
        fix = "unpack it yourself, if you trust it, and name the folder"
        raise UserError(archive.name, found=fault, expected=expected, fix=fix)


def _leads_out(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/"))
    return parts.is_absolute() or ".." in parts.parts or ":" in (parts.parts[0] if parts.parts else "")
