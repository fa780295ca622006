"""What a folder of DICOM files holds: studies, their series as volumes, and the labels that belong to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdseg.data.formats.dicom.headers import open_header
from kdseg.data.formats.dicom.label_header import LABEL_MODALITIES, DicomLabels, read_label_header
from kdseg.data.formats.dicom.series import DicomSeries, series_of
from kdseg.data.formats.dicom.slice_headers import FRAME_KEYWORDS, Frame, read_frames
from kdseg.data.formats.dicom.stacks import split_into_stacks
from kdseg.data.open import file_kind, files_below
from kdseg.errors import UserError

__all__ = ["DicomStudy", "dicom_series", "dicom_studies"]


@dataclass(frozen=True)
class DicomStudy:
    """One patient's study: a case."""

    # patient, study: pseudonyms
    patient: str
    study: str
    series: list[DicomSeries]  # its volumes
    labels: list[DicomLabels]  # its SEG and RTSTRUCT files


def dicom_studies(folder: str | Path, progress: bool = False) -> tuple[list[DicomStudy], list[dict[str, str]]]:
    """List what a folder of DICOM files holds, from the headers alone.

    Args:
        folder: looked through with all folders in it; files that are not DICOM are passed over.
        progress: show a progress bar, on a terminal only.

    Returns:
        the studies in the order of their files, and problems {"file", "reason"}: files that cannot be read. Series
        that cannot be a volume are listed, with their refusal.

    Raises:
        UserError: when there is no such folder, or no DICOM file in it.
    """
    folder = Path(folder)
    frames, labels, problems = _headers(_dicom_files(folder), progress)
    studies: dict[tuple[str, str], DicomStudy] = {}
    for volume in map(series_of, split_into_stacks(frames)):
        key = volume.patient, volume.study
        studies.setdefault(key, DicomStudy(*key, [], [])).series.append(volume)
    for label in labels:
        key = label.patient, label.study
        studies.setdefault(key, DicomStudy(*key, [], [])).labels.append(label)
    return list(studies.values()), problems


def dicom_series(source: str | Path | Sequence[str | Path]) -> list[DicomSeries]:
    """The volumes in a folder, in a list of files, or those that one file belongs to (among the files of its folder).

    Raises:
        UserError: when there is no readable DICOM picture; the first file's fault is told.

    Example:
        >>> from pydicom.data import get_testdata_file
        >>> [volume.title() for volume in dicom_series([get_testdata_file("CT_small.dcm")])]
        ['CT, axial, 128×128×1']
    """
    one = Path(source) if isinstance(source, str | Path) else None
    if one is not None and one.is_file() and file_kind(one) != "dicom":
        fix = "name the DICOM or NIfTI file that is meant"
        raise UserError(one.name, found="a file that is not DICOM", expected="a volume", fix=fix)
    if one is None:
        files = [Path(path) for path in source]  # type: ignore[union-attr]
    else:
        files = _dicom_files(one.parent if one.is_file() else one)
        if one.is_file():
            # first, so that it is kept and its copies are not
            files = [one, *(path for path in files if path != one)]
    frames, labels, problems = _headers(files, progress=False)
    volumes = [series_of(stack) for stack in split_into_stacks(frames)]
    if one is not None and one.is_file():
        volumes = [volume for volume in volumes if one in volume.files]
        problems = [problem for problem in problems if problem["file"] == one.name]
    if not volumes:
        where = one if one is not None else files[0].parent
        problems += [
            {"file": Path(label.file).name, "reason": f"labels ({label.kind}), no pictures"} for label in labels
        ]
        problems = [problem for problem in problems if where.is_dir() or problem["file"] == where.name]
        found = problems[0]["reason"] if problems else "no DICOM picture"
        raise UserError(where.name, found=found, expected="a DICOM series", fix="check the path, or export it again")
    return volumes


def _dicom_files(folder: Path) -> list[Path]:
    paths = files_below(folder)
    files = [path for path in paths if file_kind(path) == "dicom"]
    if not files:
        found = f"no DICOM file among {len(paths)} files"
        raise UserError(folder.name, found=found, expected="DICOM files", fix="name the folder that has them")
    return files


def _headers(files: Iterable[Path], progress: bool) -> tuple[list[Frame], list[DicomLabels], list[dict[str, str]]]:
    from tqdm import tqdm

    frames: list[Frame] = []
    labels: list[DicomLabels] = []
    problems: list[dict[str, str]] = []
    for path in tqdm(files, desc="headers", unit="file", leave=False, disable=None if progress else True):
        try:
            header = open_header(path, FRAME_KEYWORDS)
            if header.get("Modality") in LABEL_MODALITIES:
                labels.append(read_label_header(path))
            else:
                frames += read_frames(path, header)
        except UserError as error:
            problems.append({"file": path.name, "reason": error.found})
    return frames, labels, problems
