"""Pairs volumes with their label maps: NIfTI files by their names, DICOM series by folder or reference."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kdseg.data.formats.dicom.choice import choose_series
from kdseg.data.formats.dicom.studies import dicom_studies
from kdseg.data.layouts.found import Found
from kdseg.data.lists import folder_names
from kdseg.data.lists.datalist import Record
from kdseg.data.open import file_kind, file_stem, natural_order
from kdseg.errors import UserError

__all__ = ["IMAGE_FOLDERS", "LABEL_FOLDERS", "Naming", "find_volumes"]

# the last ones are those of the Medical Segmentation Decathlon and nnU-Net
IMAGE_FOLDERS = folder_names.IMAGE_FOLDERS | {"imagestr", "imagests"}
LABEL_FOLDERS = folder_names.MASK_FOLDERS | {"labelstr", "labelsts"}
LABEL_WORDS = "segmentations?|seg|labels?|masks?|gt|gland|prostate"
IMAGE_WORDS = "images?|img|ct|mri?|t2w?|t2|volume|0000"
LABEL_NAME = re.compile(
    rf"^(?:(?P<end>.+?)[_-](?:{LABEL_WORDS})|(?:{LABEL_WORDS})[_-]?(?P<start>\d.*))$", re.IGNORECASE
)
IMAGE_NAME = re.compile(
    rf"^(?:(?P<end>.+?)[_-](?:{IMAGE_WORDS})|(?:{IMAGE_WORDS})[_-]?(?P<start>\d.*))$", re.IGNORECASE
)

Key = tuple[tuple[str, ...], str]


@dataclass(frozen=True)
class Naming:
    """Which DICOM series of a study is the image.

    Attributes:
        modality: CT or MR; others are passed over.
        description: a word of the series description, where several series of that modality are in a study.
    """

    modality: str
    description: str | None = None


def find_volumes(source: Path, naming: Naming, same: Callable[[list[Path]], bool] | None = None) -> Found:
    """Volumes below ``source`` with the label maps that belong to them.

    NIfTI: ``img/img0001.nii.gz`` with ``label/label0001.nii.gz``; ``images/7.nii.gz`` with ``labels/7.nii.gz``;
    ``Case00.nii.gz`` with ``Case00_segmentation.nii.gz``; ``7_t2.nii.gz`` with ``7_gland.nii.gz``; and mixtures.
    DICOM: a study is a case, its image the series that its SEG or RTSTRUCT file refers to, else the largest axial
    series of the modality. Its label is that file; else a NIfTI file named like its folder (``7/`` and
    ``7_labels.nii.gz``), or inside it.

    Args:
        source: the folder to look through.
        naming: which DICOM series is the image.
        same: told the label maps of a volume that has several; whether they are the same one. None: several are a
            fault.

    Raises:
        UserError: when the folder is not there or has no volumes.
    """
    if not source.is_dir():
        raise UserError(source, found="no such folder", expected="a folder of volumes", fix="check the path")
    paths = [path for path in sorted(source.rglob("*"), key=natural_order) if path.is_file()]
    paths = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(source).parts)]
    kinds = {path: file_kind(path) for path in paths}
    found = Found()
    labels: dict[Key, list[Path]] = {}
    images: dict[Path, Key] = {}
    for path in (path for path, kind in kinds.items() if kind == "nifti"):
        key, is_label = _key(path, source)
        if is_label:
            labels.setdefault(key, []).append(path)
        else:
            images[path] = key
    studies = _dicom_images(source, naming, found) if "dicom" in kinds.values() else []
    if not images and not studies:
        raise UserError(
            source, found="no volumes", expected="NIfTI files or DICOM series", fix="see docs/data.md for the layouts"
        )
    used: set[Path] = set()
    for path, key in images.items():
        several = labels.get(key, [])
        used.update(several)
        _pair({"image": str(path)}, several[:1] if same and several and same(several) else several, source, found)
    for record, drawn in studies:
        several = drawn or _labels_of_folder(Path(record["image"]).parent, source, labels)
        used.update(several)
        _pair(record, several, source, found)
    found.problems += [
        {"case": file_stem(path), "file": str(path.relative_to(source)), "reason": "a label map without an image"}
        for several in labels.values()
        for path in several
        if path not in used
    ]
    _leave_derived_files_aside(images, found)
    unlabelled = [record for record in found.records if "label" not in record]
    for record in unlabelled:
        record["section"] = "unlabelled"
    if unlabelled:
        found.notes.append(f"{len(unlabelled)} volume(s) without a label map are taken as unlabelled")
    return found


def _key(path: Path, source: Path) -> tuple[Key, bool]:
    """What image and label have in common, and whether this is the label."""
    folders = path.relative_to(source).parent.parts
    stem = file_stem(path)
    is_label = any(part.lower() in LABEL_FOLDERS for part in folders)
    if name := LABEL_NAME.match(stem):
        is_label = True
    else:
        name = IMAGE_NAME.match(stem)
    common = (name["end"] or name["start"]) if name else stem
    kept = tuple(part for part in folders if part.lower() not in IMAGE_FOLDERS | LABEL_FOLDERS)
    return (kept, common), is_label


def _leave_derived_files_aside(images: dict[Path, Key], found: Found) -> None:
    """``7_zones.nii.gz`` beside the labelled ``7.nii.gz`` is made from it, and no image of its own."""
    with_label = {Path(record["image"]) for record in found.records if "label" in record}
    labelled = {key for path, key in images.items() if path in with_label}
    kept = []
    for record in found.records:
        folders, stem = images.get(Path(record["image"]), ((), ""))
        derived = any(folders == where and stem.startswith(f"{name}_") for where, name in labelled)
        if "label" not in record and derived:
            found.notes.append(f"{Path(record['image']).name} is taken to be derived from its case, and left aside")
        else:
            kept.append(record)
    found.records = kept


def _pair(record: Record, labels: list[Path], source: Path, found: Found) -> None:
    if len(labels) > 1:
        image = Path(record["image"])
        names = ", ".join(str(path.relative_to(source)) for path in labels)
        case = {"case": file_stem(image), "file": str(image.relative_to(source))}
        found.problems.append(case | {"reason": f"more than one label map: {names}"})
        return
    if labels:
        record["label"] = str(labels[0])
    found.records.append(record)


def _dicom_images(source: Path, naming: Naming, found: Found) -> list[tuple[Record, list[Path]]]:
    """One record for each study, its volume and patient, and the DICOM label files that were drawn on it."""
    studies, problems = dicom_studies(source)
    found.problems += [{"case": Path(problem["file"]).stem, **problem} for problem in problems]
    records = []
    for study in studies:
        fitting = [series for series in study.series if series.modality == naming.modality]
        if not fitting:
            continue
        # the series that somebody drew on is meant, not a larger one of the same study
        references = {series for label in study.labels for series in label.references}
        fitting = [series for series in fitting if series.series in references] or fitting
        # a single series is meant whatever it is called
        description = naming.description if len(fitting) > 1 else None
        try:
            volume = choose_series(
                fitting, where=f"study {study.study}", description=description, plane="axial", choose="largest"
            )
        except UserError as error:
            found.problems.append({"case": study.study, "file": study.series[0].file, "reason": error.found})
            continue
        folders = {path.parent for path in volume.files}
        # a list names one file, and the others are looked for in its folder
        scattered = f"slices in {len(folders)} folders: put the series into one" if len(folders) > 1 else None
        if reason := volume.refusal or scattered:
            file = str(Path(volume.file).relative_to(source))
            found.problems.append({"case": study.study, "file": file, "reason": reason})
            continue
        drawn = [
            Path(label.file) for label in study.labels if not label.references or volume.series in label.references
        ]
        records.append(({"image": volume.file, "patient": volume.patient or study.study}, drawn))
    if len(records) > 1 and len({record["patient"] for record, _ in records}) == 1:
        found.notes.append(
            f"all {len(records)} studies have one patient id, as programs that remove names leave it: "
            "each is taken for a patient of its own; if they are one patient's, give them all to one section"
        )
        for record, _ in records:
            del record["patient"]
    return records


def _labels_of_folder(folder: Path, source: Path, labels: dict[Key, list[Path]]) -> list[Path]:
    """NIfTI label maps of a DICOM case: beside its folder and named like it, or the only ones inside."""
    for inner in (folder, *folder.parents):
        if inner == source or source not in inner.parents:
            break
        kept = tuple(part for part in inner.relative_to(source).parent.parts if part.lower() not in IMAGE_FOLDERS)
        stem = IMAGE_NAME.match(inner.name)
        names = {inner.name, *([stem["end"] or stem["start"]] if stem else []), inner.name.removeprefix("dicom_")}
        for name in sorted(names):
            if (kept, name) in labels:
                return labels[kept, name]
    parts = folder.relative_to(source).parts
    return [path for (kept, _), several in labels.items() for path in several if kept and kept == parts]
