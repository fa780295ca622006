"""Images and volumes to segment, found in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdseg.data.formats.dicom.choice import choose_series
from kdseg.data.formats.dicom.series import DicomSeries
from kdseg.data.formats.dicom.studies import dicom_studies
from kdseg.data.open import NIFTI_SUFFIXES, file_kind, files_below
from kdseg.errors import UserError

__all__ = ["find_images", "find_volume_files"]


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
        found, expected = f"no image among {len(paths)} files", "DICOM, NIfTI or picture files"
        raise UserError(source, found=found, expected=expected, fix="name the folder that has them")
    return images


def find_volume_files(
    source: str | Path,
    modality: str | None = None,
    description: str | None = None,
    plane: str | None = None,
    every: bool = False,
) -> list[str | list[str]]:
    """Paths for ``VolumeReader``: every NIfTI file below a folder, and of every DICOM study its largest series.

    A series is given as its folder where nothing else is in it, so that its mask is named like the folder; else as one
    of its files, or as all of them where they lie in several folders. A study in which no series fits is given as one
    of its files: reading it tells what is wrong.

    Args:
        source: a folder, or the one file that is named.
        modality, description, plane: which series of a study are meant, as in :func:`kdseg.data.choose_series`.
        every: all of these series that are even volumes, each as its files, in place of the largest.

    Raises:
        UserError: when there is no such place, or no volume in it.
    """
    source = Path(source)
    if source.is_file():
        return [str(source)]
    files = files_below(source)
    volumes: list[str | list[str]] = [str(path) for path in files if path.name.lower().endswith(NIFTI_SUFFIXES)]
    if any(file_kind(path) == "dicom" for path in files):
        studies, problems = dicom_studies(source)
        # reading such a file tells what is wrong with it
        unreadable = {problem["file"] for problem in problems}
        volumes += [str(path) for path in files if path.name in unreadable]
        for study in studies:
            try:
                wanted: dict[str, Any] = {"modality": modality, "description": description, "plane": plane}
                if every and (fitting := [one for one in study.series if _is_wanted(one, wanted)]):
                    volumes += [[str(path) for path in one.files] for one in fitting]
                    continue
                chosen = choose_series(study.series, choose="largest", **wanted)
                volumes.append(_path(chosen))
            except UserError:
                volumes += [study.series[0].file] if study.series else []
    if not volumes:
        fix = "name the folder that has them"
        raise UserError(source, found="no volume", expected="NIfTI files or DICOM series", fix=fix)
    return volumes


def _is_wanted(volume: DicomSeries, wanted: Mapping[str, Any]) -> bool:
    """Whether a series is an even volume, and as it is wanted."""
    try:
        choose_series([volume], choose="only", **wanted)
    except UserError:
        return False
    return volume.refusal is None


def _path(volume: DicomSeries) -> str | list[str]:
    files = volume.files
    folder = files[0].parent
    if any(path.parent != folder for path in files):
        return [str(path) for path in files]
    others = {path for path in folder.rglob("*") if path.is_file() and file_kind(path) == "dicom"} - set(files)
    return volume.file if others else str(folder)
