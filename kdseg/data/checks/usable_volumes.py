"""Opens every volume and label map of a data set before training does, and tells what cannot be used and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdseg.data.checks.content import content_of_volume
from kdseg.data.checks.usable_pictures import PRIORITY
from kdseg.data.lists.classes import structure_names
from kdseg.data.lists.datalist import SECTIONS, Record
from kdseg.data.volumes.labels import read_label
from kdseg.data.volumes.reader import VolumeReader
from kdseg.errors import UserError

__all__ = ["check_volumes", "label_names"]


def check_volumes(
    records: Sequence[Record], labels: Mapping[str, str], frame: int | str = "best", progress: bool = False
) -> tuple[list[Record], list[dict[str, str]]]:
    """Check each record, and return those that can be used and what is wrong with the others.

    A case is left out when its volume or label map cannot be opened; when the volume has a single value; when the label
    map lies outside the volume, is empty, or has values without a name; when its volume occurs twice; when its patient
    is in two sections of a published split. Another grid is no fault: label maps are put on the grid of their volume.

    Args:
        records: with "image", "case", and where known "label", "patient" and "section"; absolute paths.
        labels: value in the label maps → name.
        frame: not used: volumes have no frames.
        progress: show a progress bar, on a terminal only.

    Returns:
        the kept records in their order, with "slices" and, for those with a label map, "labelled_slices" added; and
        problems {"case", "file", "reason"}.
    """
    from tqdm import tqdm

    order = sorted(range(len(records)), key=lambda index: PRIORITY.index(records[index].get("section")))
    kept: dict[int, Record] = {}
    problems: list[dict[str, str]] = []
    case_of_volume: dict[str, str] = {}
    section_of_patient: dict[str, str] = {}
    reader = VolumeReader()
    for index in tqdm(order, desc="checking", unit="case", leave=False, disable=None if progress else True):
        record = records[index]
        file = Path(record["image"])
        try:
            volume, meta = reader.get_data([file])
            if volume.min() == volume.max():
                raise _fault(file, "a volume of a single value")
            counts = {"slices": volume.shape[2]}
            if "label" in record:
                file = Path(record["label"])
                counts["labelled_slices"] = _labelled_slices(file, volume.shape, meta, labels)
                file = Path(record["image"])
            content = content_of_volume(volume, meta["affine"])
            if content in case_of_volume:
                raise _fault(file, f"the same volume as case {case_of_volume[content]}")
            section, patient = record.get("section"), record.get("patient")
            if section in SECTIONS[:3] and patient and section_of_patient.setdefault(patient, section) != section:
                raise _fault(file, f"its patient is also in section {section_of_patient[patient]}")
        except UserError as error:
            problems.append({"case": record["case"], "file": file.name, "reason": error.found})
            continue
        case_of_volume[content] = record["case"]
        kept[index] = record | counts
    return [kept[index] for index in sorted(kept)], problems


def _labelled_slices(path: Path, shape: Sequence[int], meta: Mapping[str, Any], labels: Mapping[str, str]) -> int:
    """The number of slices along the volume's last axis that have a label."""
    origin = {name: str(meta.get(name, "")) for name in ("series", "frame_of_reference")}
    label = read_label(path, meta["affine"], shape, structure_names(labels), "empty", **origin)
    unnamed = [f"{value:g}" for value in np.unique(label) if str(value) not in labels]
    if unnamed:
        raise _fault(path, f"label values without a name: {', '.join(unnamed[:5])}")
    if label.max() == 0:
        raise _fault(path, "an empty label map")
    return int((label > 0).any(axis=(0, 1)).sum())


def _fault(path: Path, found: str) -> UserError:
    return UserError(path.name, found=found, expected="a case that can be used", fix="mend it or leave it out")


def label_names(path: Path) -> dict[str, str] | None:
    """The content of a ``labels.json`` (value → name) beside the data, or None where there is none.

    Raises:
        UserError: when it is something else.
    """
    if not path.is_file():
        return None
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        return {"0": "background"} | {str(int(value)): str(name) for value, name in content.items()}
    except (ValueError, AttributeError) as error:
        fix = 'write {"1": "spleen", "2": "liver"}'
        raise UserError(path, found=f"{type(error).__name__}", expected="value → name as JSON", fix=fix) from error
