"""Files that are whole or not there: written beside their place under a temporary name, then renamed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kdseg.errors import UserError

__all__ = ["save_atomically", "whole_file"]


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
