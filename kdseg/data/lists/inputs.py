"""Images and volumes to segment: found in a folder, and read one after the other without falling over a bad one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import IterableDataset

from kdseg.data.formats.dicom.choice import choose_series
from kdseg.data.formats.dicom.series import DicomSeries
from kdseg.data.formats.dicom.studies import dicom_studies
from kdseg.data.open import NIFTI_SUFFIXES, file_kind, files_below
from kdseg.errors import UserError, user_error_in

__all__ = ["TolerantDataset", "find_images", "find_volume_files"]

logger = logging.getLogger(__name__)


def find_images(source: str | Path) -> list[str]:
    """The image files below a folder, in the order of their paths; or the one file that is named.

    Raises:
        UserError: when there is no such place, or no image in it.
    """
    source = Path(source)
    if source.is_file():
        return [str(source)]
    paths = files_below(source)
    images = [str(path) for path in paths if file_kind(path) is not None]
    if not images:
        found = f"no image among {len(paths)} files"
        raise UserError(
            source, found=found, expected="DICOM, NIfTI or picture files", fix="name the folder that has them"
        )
    return images


def find_volume_files(
    source: str | Path, modality: str | None = None, description: str | None = None, plane: str | None = None
) -> list[str | list[str]]:
    """Paths for ``VolumeReader``: every NIfTI file below a folder, and of every DICOM study its largest series.

    A series is given as its folder where nothing else is in it, so that its mask is named like the folder; else as one
    of its files, or as all of them where they lie in several folders. A study in which no series fits is given as one
    of its files: reading it tells what is wrong.

    Args:
        source: a folder, or the one file that is named.
        modality, description, plane: which series of a study are meant, as in :func:`kdseg.data.choose_series`.

    Raises:
        UserError: when there is no such place, or no volume in it.
    """
    source = Path(source)
    if source.is_file():
        return [str(source)]
    files = files_below(source)
    volumes: list[str | list[str]] = [str(path) for path in files if path.name.lower().endswith(NIFTI_SUFFIXES)]
    if any(file_kind(path) == "dicom" for path in files):
        for study in dicom_studies(source)[0]:
            try:
                where = f"study {study.study}"
                wanted = {"modality": modality, "description": description, "plane": plane}
                chosen = choose_series(study.series, where=where, choose="largest", **wanted)
                volumes.append(_path(chosen))
            except UserError:
                volumes += [study.series[0].file] if study.series else []
    if not volumes:
        fix = "name the folder that has them"
        raise UserError(source, found="no volume", expected="NIfTI files or DICOM series", fix=fix)
    return volumes


def _path(volume: DicomSeries) -> str | list[str]:
    files = volume.files
    folder = files[0].parent
    if any(path.parent != folder for path in files):
        return [str(path) for path in files]
    others = {path for path in folder.rglob("*") if path.is_file() and file_kind(path) == "dicom"} - set(files)
    return volume.file if others else str(folder)


class TolerantDataset(IterableDataset):
    """Gives the transformed records one by one; a record that cannot be read is set aside and the rest goes on.

    Iterable, because the number of readable files is known at the end only. For one process: ``num_workers=0``.

    Args:
        data: records, for instance ``[{"image": path}, …]``.
        transform: applied to each.

    Example:
        >>> def transform(record):
        ...     if record["image"] == "bad":
        ...         raise UserError("bad", found="nothing", expected="an image", fix="repair it")
        ...     return record
        >>> dataset = TolerantDataset([{"image": "bad"}, {"image": "good"}], transform)
        >>> list(dataset), dataset.given, len(dataset.failures)
        ([{'image': 'good'}], 1, 1)
    """

    def __init__(self, data: Sequence[Mapping[str, Any]], transform: Callable[[Any], Any]) -> None:
        self.data = data
        self.transform = transform
        self.failures: list[str] = []
        self.given = 0

    def __iter__(self) -> Iterator[Any]:
        from tqdm import tqdm

        self.failures, self.given = [], 0
        # disable=None: a bar in a terminal only
        for record in tqdm(self.data, desc="segmenting", unit="file", disable=None):
            try:
                item = self.transform(record)
            except Exception as error:
                told = user_error_in(error)
                if told is None:
                    raise
                self.failures.append(str(told))
                continue
            self.given += 1
            yield item

    def report(self) -> None:
        """Tell how many files were segmented, and what was set aside.

        Raises:
            UserError: when anything was, so that the command's exit code says so; the rest is done and saved.
        """
        logger.info(f"{self.given} of {len(self.data)} files segmented")
        for failure in self.failures:
            logger.warning(f"set aside: {failure}")
        if self.failures:
            raise UserError(
                "input",
                found=f"{len(self.failures)} of {len(self.data)} files that cannot be read",
                expected="readable images",
                fix="see the list above; the masks of the other files are saved",
            )
