"""What is to be segmented: files, folders, DICOM studies and zip archives as one list of inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kdseg.data.lists.inputs import find_images, find_volume_files
from kdseg.data.open import file_kind
from kdseg.errors import UserError
from kdseg.masks.archives import is_archive, unpack
from kdseg.masks.mark import is_marked

__all__ = ["Input", "Wanted", "find_inputs"]


@dataclass(frozen=True)
class Wanted:
    """Which images a task takes.

    Attributes:
        kind: "picture" or "volume".
        modality, description, plane: of DICOM series, see :func:`kdseg.data.choose_series`.
        every: all series of a study that fit, in place of the largest.
    """

    kind: str
    modality: str | None = None
    description: str | None = None
    plane: str | None = None
    every: bool = False


@dataclass(frozen=True)
class Input:
    """One image to be segmented.

    Attributes:
        files: for the reader: one file, a series' folder, or a series' files.
        root: whose folders are mirrored.
        key: what it is known by in every run, wherever an archive was unpacked.
    """

    files: tuple[str, ...]
    root: Path
    key: str

    @property
    def path(self) -> Path:
        """The first file, or the folder."""
        return Path(self.files[0])

    @property
    def entry(self) -> str | list[str]:
        """What MONAI's LoadImage is given."""
        return self.files[0] if len(self.files) == 1 else list(self.files)

    @property
    def shown(self) -> str:
        """Its place below the root, for reports."""
        below = self.path.is_relative_to(self.root) and self.path != self.root
        return self.path.relative_to(self.root).as_posix() if below else self.path.name

    @property
    def is_dicom(self) -> bool:
        return self.path.is_dir() or file_kind(self.path) == "dicom"

    def modified(self) -> float:
        """When its newest file was changed, in seconds."""
        files = [path for name in self.files for path in _files(Path(name))]
        return max(path.stat().st_mtime for path in files)


def find_inputs(sources: Sequence[str | Path], wanted: Wanted, scratch: Path) -> list[Input]:
    """All inputs below the sources, in their order; masks that kdseg wrote are none.

    Args:
        sources: files, folders, zip archives.
        wanted: which images.
        scratch: a folder for what is unpacked.

    Raises:
        UserError: when a source is not there, is a damaged or dangerous archive, or holds no image.
    """
    found: dict[str, Input] = {}
    for source in map(Path, sources):
        if not source.exists():
            fix = "check the path"
            raise UserError(source, found="no such file or folder", expected="images", fix=fix)
        packed = is_archive(source)
        place = unpack(source, scratch) if packed else source
        root = scratch if packed else place
        for entry in _entries(place, wanted):
            files = (entry,) if isinstance(entry, str) else tuple(entry)
            first = Path(files[0]).absolute()
            key = f"{source.absolute()}!{first.relative_to(place.absolute())}" if packed else str(first)
            if not is_marked(first):
                found.setdefault(key, Input(files, root, key))
    return list(found.values())


def _entries(place: Path, wanted: Wanted) -> Sequence[str | list[str]]:
    if wanted.kind == "picture":
        return find_images(place)
    return find_volume_files(
        place, wanted.modality, description=wanted.description, plane=wanted.plane, every=wanted.every
    )


def _files(path: Path) -> list[Path]:
    return [entry for entry in path.rglob("*") if entry.is_file()] if path.is_dir() else [path]
