"""From a folder of images to a checked data list: what ``kdseg prepare`` does, one entry per task."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kdseg._version import __version__
from kdseg.data.angiogram_layouts import Found, find_angiograms
from kdseg.data.check import check_cases
from kdseg.data.datalist import Record, save_datalist, split_by_patient
from kdseg.data.files import content_hash
from kdseg.data.patients import assign_patients
from kdseg.errors import UserError, suggestion

__all__ = ["TASKS", "Preparation", "Task", "prepare"]


@dataclass(frozen=True)
class Task:
    """What is particular to the data of one task.

    Attributes:
        description: for the list.
        labels: class number to name.
        find: pairs images with masks; given the source folder and a folder for masks that have to be drawn.
    """

    description: str
    labels: dict[str, str]
    find: Callable[[Path, Path], Found]


TASKS = {
    "coronary_angiogram": Task(
        description="vessels in X-ray coronary angiograms",
        labels={"0": "background", "1": "vessel"},
        find=find_angiograms,
    ),
}


@dataclass(frozen=True)
class Preparation:
    """What came out: the list's path, the number of cases per section, what was left out and why, and remarks."""

    datalist: Path
    counts: dict[str, int]
    problems: list[dict[str, str]]
    notes: list[str]


def prepare(
    task: str,
    source: str | Path,
    out: str | Path,
    *,
    seed: int = 0,
    folds: int = 5,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    frame: int | str = "best",
    progress: bool = False,
) -> Preparation:
    """Find, check and split the cases below ``source``, and write the data list ``out``.

    Args:
        task: a key of :data:`TASKS`.
        source: the folder of images and masks; it is only read.
        out: the JSON file to write. Masks that have to be drawn go to ``<out's stem>_masks/`` beside it.
        seed, folds, fractions: see :func:`kdseg.data.datalist.split_by_patient`.
        frame: which frame of a cine is used; written into the list as "frame".
        progress: show a progress bar, on a terminal only.

    Raises:
        UserError: for an unknown task, a folder without images, or when no labelled case is left.
    """
    if task not in TASKS:
        raise UserError("task", found=f"'{task}'", expected=f"one of {', '.join(TASKS)}", fix=suggestion(task, TASKS))
    if frame == "all":
        raise UserError(
            "frame", found="'all'", expected="'best' or a number", fix="a mask belongs to one frame: name it"
        )
    source, out = Path(source).absolute(), Path(out).absolute()
    found = TASKS[task].find(source, out.parent / f"{out.stem}_masks")
    notes = [*found.notes, assign_patients(found.records, source)] if found.records else found.notes
    kept, problems = check_cases(found.records, frame=frame, progress=progress)
    problems = found.problems + problems
    labelled = [record for record in kept if "label" in record]
    if not labelled:
        reasons = "; ".join(f"{problem['file']}: {problem['reason']}" for problem in problems[:3])
        raise UserError(
            source,
            found=f"no image with a usable mask{f' ({reasons})' if reasons else ''}",
            expected="images and vessel masks",
            fix="see docs/data.md for the layouts that are understood",
        )
    cines = [record["case"] for record in labelled if record["frame_count"] > 1]
    if cines:
        notes.append(
            f"{len(cines)} labelled cine(s): frame '{frame}' is taken to be the one that the mask was drawn on"
        )
    split = split_by_patient(labelled, seed=seed, fractions=fractions, folds=folds)
    tested = {record["patient"] for record in split["test"]}
    unlabelled = [record for record in kept if "label" not in record]
    split["unlabelled"] = [record for record in unlabelled if record["patient"] not in tested]
    if spared := len(unlabelled) - len(split["unlabelled"]):
        notes.append(f"{spared} unlabelled picture(s) of patients in the test section are left aside")
    root = Path(os.path.relpath(source, out.parent))
    datalist = {
        "name": out.stem,
        "task": task,
        "description": TASKS[task].description,
        "labels": TASKS[task].labels,
        "seed": seed,
        "frame": frame,
        "kdseg_version": __version__,
        "root": root.as_posix(),
        **{section: [_written(record, source) for record in records] for section, records in split.items()},
    }
    save_datalist(datalist, out)
    return Preparation(out, {section: len(records) for section, records in split.items()}, problems, notes)


def _written(record: Record, source: Path) -> Record:
    """A record as it stands in the list: relative paths, a hash of what is trained and tested on."""
    paths = [key for key in ("image", "label") if key in record]
    written: Record = {key: Path(os.path.relpath(record[key], source)).as_posix() for key in paths}
    written |= {key: record[key] for key in ("case", "patient", "fold") if key in record}
    return written | ({"sha256": content_hash(record["image"])} if "label" in record else {})
