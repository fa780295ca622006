"""Transformed cases that are kept, in memory or on disk, and never served after the transforms or the files changed."""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from monai import __version__ as monai_version
from monai.data import CacheDataset, Dataset, MetaTensor, PersistentDataset
from monai.transforms import Compose, RandomizableTrait
from monai.utils import TraceKeys

from kdseg._version import __version__
from kdseg.data.open import content_hash, file_kind
from kdseg.errors import UserError

__all__ = ["cached_dataset", "contents"]

# a DICOM series is a folder; its files count, whatever they are
FILE_KEYS = ("image", "label")


def cached_dataset(
    data: Sequence[Mapping[str, Any]], transform: Compose, cache_dir: str | Path | None = None
) -> Dataset:
    """The data set of a training: transforms up to the first random one are done once for each case and kept.

    Args:
        data: records of a data list; "image" and "label" are files or folders of files.
        transform: all transforms. The random ones must not change their input in place (MONAI's do not).
        cache_dir: None keeps the cases in memory; a folder keeps them on disk, for sets that are larger, and over
            several trainings. There a case is found again by the bytes of its files, by the settings of each transform
            before the first random one, and by the versions of kdseg and MONAI.

    Raises:
        UserError: when the transforms have no content that a key could be made of (a lambda), with a ``cache_dir``.

    Example:
        >>> from monai.transforms import Lambda
        >>> dataset = cached_dataset([1, 2, 3], Compose([Lambda(lambda number: 2 * number)]))
        >>> [dataset[index] for index in range(3)]
        [2, 4, 6]
    """
    if cache_dir is None:
        # without a copy for each draw: a copy of a volume costs more than the slice that is taken of it
        return CacheDataset(data, transform, num_workers=0, copy_cache=False, progress=sys.stderr.isatty())
    key = transform_key(transform)
    return _DiskCache(
        data, transform, Path(cache_dir) / key, hash_func=_record_key, track_meta=True, weights_only=False
    )


class _DiskCache(PersistentDataset):
    """MONAI's cache on disk, of which another process can undo the spatial transforms (``Invertd``).

    MONAI tells a transform by its address in memory, which says nothing in the process that reads the case again. It
    asks for the key of a case with every draw; files are read for it once, before the workers are forked.
    """

    def __init__(self, data: Sequence[Mapping[str, Any]], *arguments: Any, **settings: Any) -> None:
        super().__init__(data, *arguments, **settings)
        for record in data:
            _record_key(record)

    def _cachecheck(self, item_transformed: Any) -> Any:
        case = super()._cachecheck(item_transformed)
        for value in case.values() if isinstance(case, Mapping) else ():
            for operation in value.applied_operations if isinstance(value, MetaTensor) else ():
                operation[TraceKeys.ID] = TraceKeys.NONE
        return case


def transform_key(transform: Compose) -> str:
    """A digest of everything that is set in the transforms before the first random one.

    Raises:
        UserError: when one cannot be written as bytes.
    """
    digest = hashlib.sha256(f"kdseg {__version__} monai {monai_version}".encode())
    for step in transform.flatten().transforms:
        if isinstance(step, RandomizableTrait):
            break
        try:
            digest.update(pickle.dumps(step, protocol=4))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            fix = "leave cache_dir out, or use a transform with a name in place of a lambda"
            found = f"a {type(step).__name__} that cannot be written as bytes"
            raise UserError("cache_dir", found=found, expected="transforms with plain settings", fix=fix) from error
    return digest.hexdigest()[:24]


def contents(path: Path) -> list[str]:
    """Name and hash of every file that belongs to an image or a label."""
    # one DICOM file stands for its series, which is in the same folder
    folder = path if path.is_dir() else path.parent if file_kind(path) == "dicom" else None
    files = [file for file in (sorted(folder.rglob("*")) if folder else [path]) if file.is_file()]
    states = [file.stat() for file in files]
    return [f"{file.name} {_digest(file, at.st_mtime_ns, at.st_size)}" for file, at in zip(files, states, strict=True)]


def _record_key(record: Mapping[str, Any]) -> bytes:
    """A digest of the record and of the content of its files."""
    parts = [f"{key}={value}" for key, value in sorted(record.items())]
    for key in FILE_KEYS:
        if key in record:
            parts += contents(Path(record[key]))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest().encode()


@cache
def _digest(path: Path, modified: int, size: int) -> str:
    """The content's hash, read once for each state that a file is in."""
    return content_hash(path)
