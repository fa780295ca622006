"""Where the files of each input go: below one folder, folders mirrored, no name twice."""

from __future__ import annotations

import hashlib
from pathlib import Path

from kdseg.data.open import file_stem
from kdseg.errors import UserError

__all__ = ["OutputNames"]


class OutputNames:
    """Paths ``<folder>/<folders of the input>/<stem>_<word><suffix>``.

    Folders below ``root`` are mirrored. Two inputs never share a path: where one is taken by another input
    (``7.png`` and ``7.jpg``), a piece of the hash of the input's path is added.

    Args:
        folder: every path is below it.
        word: appended to the input's stem; not empty, so that a mask never takes the place of its image.

    Example:
        >>> names = OutputNames("masks")
        >>> names.path(Path("study/a/7.dcm"), ".nii.gz", root="study").as_posix()
        'masks/a/7_mask.nii.gz'
    """

    def __init__(self, folder: str | Path, word: str = "mask") -> None:
        if not word:
            raise UserError("output_postfix", found="''", expected="a word such as 'mask'", fix="leave it out")
        self.folder = Path(folder)
        self.word = word
        self._taken: dict[Path, str] = {}

    def path(
        self, source: Path, suffix: str, root: str | Path | None = None, word: str | None = None, key: str | None = None
    ) -> Path:
        """The path of an input's file; the same for the same input every time.

        Args:
            source: the input.
            suffix: of the file, such as ".png".
            root: whose folders are mirrored.
            word: in place of the usual one.
            key: what the input is known by; its absolute path otherwise.
        """
        source, folder = source.absolute(), self.folder
        # of its folder, not of itself: the root may be the one file that is segmented, and then nothing is mirrored
        if root is not None and source.parent.is_relative_to(Path(root).absolute()):
            folder = folder / source.parent.relative_to(Path(root).absolute())
        name = f"{file_stem(source)}_{word or self.word}"
        path = folder / f"{name}{suffix}"
        key = key or str(source)
        if self._taken.setdefault(path, key) != key:
            path = folder / f"{name}_{hashlib.sha256(key.encode()).hexdigest()[:8]}{suffix}"
        return path
