"""Files and folders that are whole or not there: written beside their place under a temporary name, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kdseg.errors import UserError

__all__ = ["save_atomically", "whole_file", "whole_folder"]


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary path to write to; it takes the place of ``path`` when the block ends without an error.

    Raises:
        UserError: when the disk is full or the folder cannot be written; nothing half-written stays.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with whole_file(target) as temporary:
        ...     _ = temporary.write_text("done")
        >>> target.read_text()
        'done'
    """
    path = Path(path)
    # the name ends like the final one, because writers choose the format by the suffix
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        found = f"that it cannot be written ({error.strerror or error})"
        fix = "free disk space or choose another folder; the previous file, if any, is untouched"
        raise UserError(path, found=found, expected="a folder with room for it", fix=fix) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: str | Path) -> Iterator[Path]:
    """Give a temporary folder to fill; it takes the place of ``folder`` when the block ends without an error.

    Args:
        folder: a new or empty folder.

    Raises:
        UserError: when there is a file or a folder with something in it.

    Example:
        >>> target = Path(tempfile.mkdtemp()) / "set"
        >>> with whole_folder(target) as temporary:
        ...     _ = (temporary / "a.txt").write_text("done")
        >>> [path.name for path in target.iterdir()]
        ['a.txt']
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        found, expected = "a file or a folder with something in it", "a new or empty folder"
        raise UserError(folder, found=found, expected=expected, fix="name another folder, or remove this one")
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.unfinished-", dir=folder.parent))
    try:
        yield temporary
        temporary.chmod(0o755)  # mkdtemp's folders are for the owner alone
        if folder.exists():
            folder.rmdir()
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def save_atomically(content: Any, path: str | Path, save: Callable[[Any, str], None] | None = None) -> None:
    """``torch.save`` into a whole file; see :func:`whole_file`.

    torch reports a full disk as a RuntimeError of its zip writer: it is told as what it is.
    """
    if save is None:
        import torch

        save = torch.save
    with whole_file(path) as temporary:
        try:
            save(content, str(temporary))
        except RuntimeError as error:
            raise OSError(f"the writer failed, as it does on a full disk: {str(error).splitlines()[0]}") from error
