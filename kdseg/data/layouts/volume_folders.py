"""Finds volumes and their label maps: NIfTI files by their names, DICOM series by reference, folder or name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kdseg.data.formats.dicom.choice import choose_series
from kdseg.data.formats.dicom.series import DicomSeries
from kdseg.data.formats.dicom.studies import DicomStudy, dicom_studies
from kdseg.data.layouts.layout import Found, Search
from kdseg.data.layouts.mask_stacks import find_stacks, stack_as_label
from kdseg.data.layouts.pairs import Key, by_key, file_key, listed, pair
from kdseg.data.lists.datalist import Record
from kdseg.data.open import file_kind, file_stem, files_below
from kdseg.errors import UserError

__all__ = ["find_volumes"]


@dataclass(frozen=True)
class Scan:
    """The series of a study that is the image; the folder that is this study's alone; SEG and RTSTRUCT drawn on it."""

    volume: DicomSeries
    home: Path
    patient: str
    drawn: list[Path]


def find_volumes(search: Search) -> Found:
    """Volumes below a folder with the label maps that belong to them.

    NIfTI: ``img/img0001.nii.gz`` with ``label/label0001.nii.gz``; ``images/7.nii.gz`` with ``labels/7.nii.gz``;
    ``Case00.nii.gz`` with ``Case00_segmentation.nii.gz``; ``7_t2.nii.gz`` with ``7_gland.nii.gz``; and mixtures.

    DICOM: a study is a case, its image the series that its SEG or RTSTRUCT file refers to, else the largest of the
    modality and plane. Its label is that file; else a NIfTI file in its folder, or beside it with its name (``7/`` with
    ``7.nii.gz`` or ``7_labels.nii.gz``); else a folder of mask pictures, one for each slice. A NIfTI file in a study's
    folder is never an image.

    Raises:
        UserError: when the folder is not there or has no volumes.
    """
    found = Found()
    files = [path for path in files_below(search.source) if search.made not in path.parents]
    kinds = {path: file_kind(path) for path in files}
    scans = _scans(search, found) if "dicom" in kinds.values() else []
    nifti = [path for path, kind in kinds.items() if kind == "nifti"]
    if not scans and not nifti:
        expected = "NIfTI files or DICOM series"
        raise UserError(search.source, found="no volumes", expected=expected, fix="see docs/data.md for the layouts")
    images, masks = by_key(nifti, search)
    every_mask = [path for several in masks.values() for path in several]
    pictures = [path for path, kind in kinds.items() if kind == "picture"]
    of_scans: dict[Path, tuple[Record, Sequence[Path]]] = {}
    for scan in scans:
        record: Record = {"image": scan.volume.file}
        if scan.patient:
            record["patient"] = scan.patient
        inside = [path for path in nifti if _is_in(path, scan.home, search.source)]
        try:
            several = scan.drawn or _labels_of(scan, inside, images, masks, search) or _stack_of(scan, pictures, search)
        except UserError as error:
            found.problem(Path(scan.volume.file), search.source, "masks that do not fit", error.found)
            continue
        of_scans[Path(scan.volume.file)] = record, several
        # never an image of its own, whether or not it is the label
        for path in {*inside, *several} & images.keys():
            del images[path]
            every_mask.append(path)
    of_files = {path: ({"image": str(path)}, masks.get(key, [])) for path, key in images.items()}
    records: dict[Path, tuple[Record, Sequence[Path]]] = {**of_files, **of_scans}
    unlabelled = pair(records, every_mask, search, found)
    found.records += [records[path][0] | {"section": "unlabelled"} for path in unlabelled]
    if unlabelled:
        found.notes.append(f"{listed(unlabelled)} without a label map taken as unlabelled")
    return found


def _is_in(path: Path, home: Path, source: Path) -> bool:
    """In the folder of a study; of the source itself, which may hold other cases in folders, only directly."""
    return path.parent == home if home == source else home in path.parents


def _labels_of(
    scan: Scan, inside: Sequence[Path], images: dict[Path, Key], masks: dict[Key, list[Path]], search: Search
) -> list[Path]:
    """NIfTI label maps of a study: in its folder, the nearest to the series first; or beside it and named like it."""
    named_as_masks = [path for path in inside if path not in images]
    for folder in _upwards(scan):
        if below := [path for path in named_as_masks or inside if _is_in(path, folder, search.source)]:
            return below
    for folder in _upwards(scan):
        if folder == search.source:
            break
        beside = [path for path in images if path.parent == folder.parent and file_stem(path) == folder.name]
        if several := masks.get(file_key(folder, search)[0], beside):
            return several
    return []


def _stack_of(scan: Scan, pictures: Sequence[Path], search: Search) -> list[Path]:
    """The label map made of a folder of mask pictures, if there is one."""
    for folder in _upwards(scan):
        if stacks := find_stacks([path for path in pictures if _is_in(path, folder, search.source)]):
            case = "_".join(scan.home.relative_to(search.source).parts) or search.source.name
            return [
                stack_as_label(stack, scan.volume, search.made / f"{case}_label{number or ''}.nii.gz")
                for number, stack in enumerate(stacks)
            ]
    return []


def _upwards(scan: Scan) -> list[Path]:
    """The folder of the series, and those around it up to the study's own."""
    folder = Path(scan.volume.file).parent
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(scan.home))]


def _scans(search: Search, found: Found) -> list[Scan]:
    """One series of each study."""
    studies, problems = dicom_studies(search.source)
    for problem in problems:
        found.problem(Path(problem["file"]), search.source, "DICOM file that cannot be used", problem["reason"])
    scans: list[Scan] = []
    for study in studies:
        fitting = [series for series in study.series if not search.modality or series.modality in search.modality]
        if not fitting:
            continue
        # the series that somebody drew on is meant, not a larger one of the same study
        references = {series for label in study.labels for series in label.references}
        fitting = [series for series in fitting if series.series in references] or fitting
        try:
            volume = choose_series(
                fitting,
                where=f"study {study.study}",
                # a single series is meant whatever it is called
                description=search.series if len(fitting) > 1 else None,
                plane=search.plane,
                choose="largest",
            )
        except UserError as error:
            file = Path(study.series[0].file)
            found.problem(file, search.source, "no series that is meant", error.found, study.study)
            continue
        folders = {path.parent for path in volume.files}
        # a list names one file, and the others are looked for in its folder
        scattered = f"slices in {len(folders)} folders: put the series into one" if len(folders) > 1 else None
        if reason := volume.refusal or scattered:
            found.problem(Path(volume.file), search.source, "series that cannot be used", reason, study.study)
            continue
        drawn = [
            Path(label.file) for label in study.labels if not label.references or volume.series in label.references
        ]
        scans.append(Scan(volume, _home(study, studies, search.source), volume.patient or study.study, drawn))
    if len(scans) > 1 and len({scan.patient for scan in scans}) == 1:
        found.notes.append(
            f"all {len(scans)} studies have one patient id, as programs that remove names leave it: "
            "each is taken for a patient of its own; if they are one patient's, give them all to one section"
        )
        scans = [Scan(scan.volume, scan.home, "", scan.drawn) for scan in scans]
    return scans


def _home(study: DicomStudy, studies: Sequence[DicomStudy], source: Path) -> Path:
    """The largest folder below the source that has files of this study and of no other."""
    others = {
        parent
        for other in studies
        if other is not study
        for series in other.series
        for path in series.files
        for parent in path.parents
    }
    folder = Path(study.series[0].file).parent
    around = [parent for parent in (folder, *folder.parents) if source in parent.parents and parent not in others]
    return around[-1] if around else folder
