"""From a folder of images to a checked data list: what ``kdseg prepare`` does, one entry per task."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from kdseg._version import __version__
from kdseg.data.checks.usable_pictures import check_cases, check_tissue, check_vessels
from kdseg.data.checks.usable_volumes import check_volumes
from kdseg.data.frames.mask_reader import MaskReader
from kdseg.data.frames.picture_reader import PictureReader
from kdseg.data.layouts.found import Found
from kdseg.data.layouts.picture_pairs import find_pictures
from kdseg.data.layouts.prostate import PROSTATE_LABELS, PROTOCOLS, find_prostate
from kdseg.data.layouts.synapse import BTCV_LABELS, find_synapse, published_split
from kdseg.data.lists.datalist import IGNORED_NAME, Record, save_datalist, split_by_patient
from kdseg.data.lists.patients import assign_patients
from kdseg.data.open import content_hash
from kdseg.errors import UserError, suggestion

__all__ = ["TASKS", "Preparation", "Task", "prepare"]

# divided by patients and fractions, without regard to what anybody published
RANDOM = "random"


@dataclass(frozen=True)
class Task:
    """What is particular to the data of one task.

    Attributes:
        description: for the list.
        labels: value in the label files to name of the class, where the source itself does not say (``Found.labels``).
        find: pairs images with masks; given the source folder and a folder for files that have to be made.
        check: given the records, the labels, the frame and whether to show a progress bar; the records that can be used
            and the problems of the others.
        protocols: published ways to divide the cases: name to a function that sets "section" (and leaves cases out).
        protocol: the name of the one that is used when none is asked for; None divides by fractions.
        may_ignore: whether masks may mark pixels that are to be ignored.
        has_levels: whether images may be whole-slide files; ``check`` then takes the level too.
    """

    description: str
    labels: dict[str, str]
    find: Callable[[Path, Path], Found]
    check: Callable[..., tuple[list[Record], list[dict[str, str]]]]
    protocols: Mapping[str, Callable[[list[Record]], list[Record]]] = field(default_factory=dict)
    protocol: str | None = None
    may_ignore: bool = False
    has_levels: bool = False


def _check_angiograms(
    records: Sequence[Record], labels: Mapping[str, str], frame: int | str, progress: bool
) -> tuple[list[Record], list[dict[str, str]]]:
    return check_cases(records, PictureReader(frame=frame), MaskReader(frame=frame), check_vessels, progress)


def _check_fields(
    records: Sequence[Record], labels: Mapping[str, str], frame: int | str, progress: bool, level: int = 0
) -> tuple[list[Record], list[dict[str, str]]]:
    ignored = next((int(value) for value, name in labels.items() if name == IGNORED_NAME), None)
    mask_reader = MaskReader(frame=0, ignored=ignored, level=level)
    return check_cases(records, PictureReader(frame=0, level=level), mask_reader, check_tissue, progress)


TASKS = {
    "coronary_angiogram": Task(
        description="vessels in X-ray coronary angiograms",
        labels={"0": "background", "1": "vessel"},
        find=find_pictures,
        check=_check_angiograms,
    ),
    "synapse_multiorgan": Task(
        description="organs in abdominal CT",
        labels=BTCV_LABELS,
        find=find_synapse,
        check=check_volumes,
        protocols={"published": published_split},
    ),
    "prostate_mri": Task(
        description="prostate in T2 MRI of several sites",
        labels=PROSTATE_LABELS,
        find=find_prostate,
        check=check_volumes,
        protocols=PROTOCOLS,
    ),
    "gastric_pathology": Task(
        description="tumour in stained sections of the stomach",
        labels={"0": "background", "1": "tumour"},
        find=find_pictures,
        check=_check_fields,
        may_ignore=True,
        has_levels=True,
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
    protocol: str | None = None,
    ignored: int | None = None,
    level: int = 0,
    progress: bool = False,
) -> Preparation:
    """Find, check and split the cases below ``source``, and write the data list ``out``.

    Args:
        task: a key of :data:`TASKS`.
        source: the folder of images and masks; it is only read.
        out: the JSON file to write. Files that have to be made, such as drawn masks, go to ``<out's stem>_masks/``
            beside it.
        seed, folds, fractions: see :func:`kdseg.data.lists.datalist.split_by_patient`.
        frame: which frame of a cine is used; written into the list as "frame".
        protocol: a published way to divide the cases of this task; "random" divides by ``fractions``.
        ignored: the value in the masks that marks pixels to be left out, for tasks whose masks may have one; written
            into the list's labels, where training reads it.
        level: of whole-slide files, 0 is full resolution; written into the list, where training reads it.
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
    kind = TASKS[task]
    protocol = protocol or kind.protocol or RANDOM
    if protocol not in (RANDOM, *kind.protocols):
        names = [RANDOM, *kind.protocols]
        raise UserError(
            "protocol", found=f"'{protocol}'", expected=f"one of {', '.join(names)}", fix=suggestion(protocol, names)
        )
    if ignored is not None and not kind.may_ignore:
        tasks = ", ".join(name for name, other in TASKS.items() if other.may_ignore)
        raise UserError("ignored", found=f"{ignored} for {task}", expected=f"a task of {tasks}", fix="leave it out")
    if level and not kind.has_levels:
        tasks = ", ".join(name for name, other in TASKS.items() if other.has_levels)
        raise UserError("level", found=f"{level} for {task}", expected=f"a task of {tasks}", fix="leave it out")
    source, out = Path(source).absolute(), Path(out).absolute()
    found = kind.find(source, out.parent / f"{out.stem}_masks")
    labels = found.labels or kind.labels
    if ignored is not None:
        labels = {**labels, str(ignored): IGNORED_NAME}
    notes = [*found.notes, assign_patients(found.records, source)] if found.records else found.notes
    records = found.records if protocol == RANDOM else kind.protocols[protocol](found.records)
    if left := len(found.records) - len(records):
        notes.append(f"{left} case(s) are not part of the protocol '{protocol}' and are left aside")
    check = partial(kind.check, level=level) if kind.has_levels else kind.check
    kept, problems = check(records, labels, frame, progress)
    problems = found.problems + problems
    labelled = [record for record in kept if "label" in record]
    if not labelled:
        reasons = "; ".join(f"{problem['file']}: {problem['reason']}" for problem in problems[:3])
        raise UserError(
            source,
            found=f"no image with a usable mask{f' ({reasons})' if reasons else ''}",
            expected="images and masks",
            fix="see docs/data.md for the layouts that are understood",
        )
    cines = [record["case"] for record in labelled if record.get("frame_count", 1) > 1]
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
        "description": kind.description,
        "labels": labels,
        "seed": seed,
        "protocol": protocol,
        "frame": frame,
        **({"level": level} if kind.has_levels else {}),
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
    written |= {
        key: record[key] for key in ("case", "patient", "site", "slices", "labelled_slices", "fold") if key in record
    }
    return written | ({"sha256": content_hash(record["image"])} if "label" in record else {})
