"""From a folder of images to a checked data list: what ``kdseg prepare`` does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdseg._version import __version__
from kdseg.data.checks.comparisons import near_copies
from kdseg.data.checks.findings import ERROR, Finding, kinds_named, regraded
from kdseg.data.checks.measures import CaseMeasures
from kdseg.data.checks.report import check_records
from kdseg.data.layouts.layout import Found, Search
from kdseg.data.layouts.registry import LAYOUTS
from kdseg.data.lists.classes import class_numbers, merged
from kdseg.data.lists.datalist import IGNORED_NAME, SECTIONS, Record, save_datalist, split_by_patient
from kdseg.data.lists.patients import assign_patients
from kdseg.data.open import content_hash
from kdseg.errors import UserError, suggestion

__all__ = ["Preparation", "prepare"]

# divided by patients and fractions, without regard to what anybody published
RANDOM = "random"
# a copy is left out of the section that can spare it: never of a test set
PRIORITY = ("test", "validation", "training", None, "unlabelled")


@dataclass(frozen=True)
class Preparation:
    """What came out; problems and notes are those of :class:`kdseg.data.layouts.layout.Found`."""

    datalist: Path
    counts: dict[str, int]  # cases by section
    problems: list[dict[str, str]]  # what was left out
    notes: list[str]


def prepare(
    source: str | Path,
    out: str | Path,
    *,
    task: str,
    description: str = "",
    kind: str,
    layout: str = "generic",
    classes: Sequence[str],
    seed: int = 0,
    folds: int = 5,
    fractions: Sequence[float] = (0.6, 0.2, 0.2),
    frame: int | str = "best",
    level: int = 0,
    ignored: int | None = None,
    protocol: str | None = None,
    modality: Sequence[str] = (),
    series: str | None = None,
    plane: str | None = None,
    mask_suffix: str | None = None,
    label_names: Mapping[str, str] | None = None,
    merge: Sequence[str] = (),
    patient_pattern: str | None = None,
    accept: Sequence[str] = (),
    refuse: Sequence[str] = (),
    progress: bool = False,
) -> Preparation:
    """Find, check and split the cases below ``source``, and write the data list ``out``.

    Left out are cases of which :mod:`kdseg.data.checks` finds an error; copies; and patients in two sections of a
    published division. Pictures that are nearly the same count as one patient's.

    Args:
        source: the folder of images and masks, or a table of them; it is only read.
        out: the JSON file to write. Files that have to be made, such as drawn masks, go to ``<out's stem>_masks/``
            beside it.
        task, description: written into the list.
        kind: "picture" or "volume".
        layout: a key of :data:`kdseg.data.layouts.registry.LAYOUTS`.
        classes: names of the task's classes, each of which the labels must have.
        seed, folds, fractions: see :func:`kdseg.data.lists.datalist.split_by_patient`.
        frame: which frame of a cine is used; written into the list, where training reads it.
        level: of whole-slide files, 0 is full resolution; written into the list, where training reads it.
        ignored: the value in the masks that marks pixels to be left out; written into the list's labels.
        protocol: a published way of the layout to divide the cases; "random" divides by ``fractions``.
        modality, series, plane: which DICOM series of a study is the image, see
            :class:`kdseg.data.layouts.layout.Search`.
        mask_suffix: what a mask's name has more than its image's, such as "_anno".
        label_names: value in the masks → name, instead of what the source or the layout says.
        merge: values that are one class, see :func:`kdseg.data.lists.classes.merged`.
        patient_pattern: a regular expression that is looked for in the paths of images, as seen from the source; its
            group, or all of it, is the patient.
        accept: kinds of finding (:data:`kdseg.data.checks.findings.KINDS`) that leave no case out.
        refuse: kinds of finding that do, though they are warnings elsewhere, such as an empty mask where there is
            always something to see.
        progress: show a progress bar, on a terminal only.

    Raises:
        UserError: for an unknown layout, protocol, kind of finding or pattern; for a source without images; when the
            labels lack a class of the task; when no labelled case is left.
    """
    if frame == "all":
        expected = "'best' or a number"
        raise UserError("frame", found="'all'", expected=expected, fix="a mask belongs to one frame: name it")
    way = LAYOUTS.find(layout)
    protocol = protocol or RANDOM
    names = [RANDOM, *way.protocols]
    if protocol not in names:
        expected = f"one of {', '.join(names)}"
        raise UserError("protocol", found=f"'{protocol}'", expected=expected, fix=suggestion(protocol, names))
    accepted = kinds_named(accept)
    refused = [kind for kind in kinds_named(refuse) if kind not in accepted]
    source, out = Path(source).absolute(), Path(out).absolute()
    root = source.parent if source.is_file() else source
    found = way.find(Search(source, out.parent / f"{out.stem}_masks", kind, modality, series, plane, mask_suffix))
    in_order = {str(number): name for number, name in enumerate(["background", *classes])}
    label_names = {str(int(value)): name for value, name in (label_names or {}).items()}
    labels = merged({**(found.labels or way.labels or in_order), **label_names}, merge)
    if ignored is not None:
        labels[str(ignored)] = IGNORED_NAME
    class_numbers(labels, classes)
    if found.records:
        found.notes.append(assign_patients(found.records, root, patient_pattern))
    records = found.records if protocol == RANDOM else way.protocols[protocol](found.records)
    if left := len(found.records) - len(records):
        found.notes.append(f"{left} case(s) are not part of the protocol '{protocol}' and are left aside")
    named = [(record.get("section") or "", record) for record in records]
    cases, findings = check_records(named, labels, frame=frame, level=level, kind=kind, progress=progress)
    findings = regraded(findings, len(cases), accepted, refused)
    kept = _without_faults(records, cases, findings, root, found)
    measures = {case.case: case for case in cases}
    _join_near_copies(kept, [measures[record["case"]] for record in kept], found)
    split = _divided(kept, source, found, seed=seed, fractions=fractions, folds=folds)
    frames = [measures[record["case"]].counts.get("frame_count", 1) for record in kept if "label" in record]
    if cines := sum(count > 1 for count in frames):
        found.notes.append(
            f"{cines} labelled cine(s): frame '{frame}' is taken to be the one that the mask was drawn on"
        )
    datalist: dict[str, Any] = {
        "name": out.stem,
        "task": task,
        "description": description,
        "labels": labels,
        "seed": seed,
        "protocol": protocol,
        "frame": frame,
        "level": level,
        "checks": {"accept": accepted, "refuse": refused},
        "kdseg_version": __version__,
        "root": Path(os.path.relpath(root, out.parent)).as_posix(),
    }
    for section, records in split.items():
        datalist[section] = [_written(record, measures[record["case"]], root) for record in records]
    save_datalist(datalist, out)
    counts = {section: len(records) for section, records in split.items()}
    return Preparation(out, counts, found.problems, found.notes)


def _without_faults(
    records: Sequence[Record], cases: Sequence[CaseMeasures], findings: Sequence[Finding], root: Path, found: Found
) -> list[Record]:
    """The records without an error; of copies and of patients in two sections the first by priority stays."""
    errors = {case: finding for finding in reversed(findings) if finding.grade == ERROR for case in finding.cases}
    measures = {case.case: case for case in cases}
    kept: list[Record] = []
    case_of_content: dict[str, str] = {}
    section_of_patient: dict[str, str] = {}
    for record in sorted(records, key=lambda record: PRIORITY.index(record.get("section"))):
        case, section, patient = record["case"], record.get("section"), record["patient"]
        image = Path(record["image"])
        if case in errors:
            finding = errors[case]
            file = Path(record["label"]) if "label" in record and "label" in finding.kind else image
            found.problem(file, root, finding.kind, finding.text, case)
            continue
        copied = case_of_content.setdefault(measures[case].content, case)
        if copied != case:
            found.problem(image, root, "one image several times", f"the same values as case {copied}", case)
        elif section in SECTIONS[:3] and section_of_patient.setdefault(patient, section) != section:
            reason = f"its patient is also in section {section_of_patient[patient]}"
            found.problem(image, root, "one patient in several parts", reason, case)
        else:
            kept.append(record)
    remarks: dict[str, list[str]] = {}
    for finding in findings:
        if finding.grade != ERROR and finding.cases[0] not in errors:
            remarks.setdefault(finding.kind, []).append(f"{finding.cases[0]}: {finding.text}")
    found.notes += [f"{kind} ({len(texts)}), for example {texts[0]}" for kind, texts in remarks.items()]
    place = {record["case"]: index for index, record in enumerate(records)}
    return sorted(kept, key=lambda record: place[record["case"]])


def _join_near_copies(records: Sequence[Record], cases: Sequence[CaseMeasures], found: Found) -> None:
    """Give patients of whom pictures are nearly the same one name, so that they come into one section and fold."""
    record_of = {record["case"]: record for record in records}
    joined = []
    for first, second, alike in near_copies(cases):
        one, other = record_of[first.case], record_of[second.case]
        former, published = other["patient"], one.get("section") in SECTIONS[:3]
        if one["patient"] != former:
            joined.append(f"{first.case} and {second.case} ({alike:.2f})")
            for record in records:
                if record["patient"] == former and not (published and record.get("section") != one["section"]):
                    record["patient"] = one["patient"]
    if joined:
        listed = ", ".join(joined[:5]) + (", …" if len(joined) > 5 else "")
        found.notes.append(
            f"{len(joined)} pair(s) of pictures are nearly the same: {listed}; taken to be of one patient, "
            "as far as they are not in different sections already"
        )


def _divided(
    kept: Sequence[Record], source: Path, found: Found, seed: int, fractions: Sequence[float], folds: int
) -> dict[str, list[Record]]:
    """The records by section, unlabelled ones of patients in the test left aside."""
    labelled = [record for record in kept if "label" in record]
    if not labelled:
        told = [f"{problem['file']}: {problem['reason']}" for problem in found.problems[:3]] or found.notes[:3]
        expected, fix = "images and masks", "see docs/data.md for the layouts that are understood"
        raise UserError(source, found=f"no image with a usable mask ({'; '.join(told)})", expected=expected, fix=fix)
    split = split_by_patient(labelled, seed=seed, fractions=fractions, folds=folds)
    tested = {record["patient"] for record in split["test"]}
    unlabelled = [record for record in kept if "label" not in record]
    split["unlabelled"] = [record for record in unlabelled if record["patient"] not in tested]
    if spared := len(unlabelled) - len(split["unlabelled"]):
        found.notes.append(f"{spared} unlabelled image(s) of patients in the test section are left aside")
    return split


def _written(record: Record, case: CaseMeasures, root: Path) -> Record:
    """A record as it stands in the list: relative paths, a hash of what is trained and tested on."""
    paths = [key for key in ("image", "label") if key in record]
    written: Record = {key: Path(os.path.relpath(record[key], root)).as_posix() for key in paths}
    counts = {name: count for name, count in case.counts.items() if name != "frame_count"}
    written |= {key: record[key] for key in ("case", "patient", "site", "fold") if key in record} | counts
    return written | ({"sha256": content_hash(record["image"])} if "label" in record else {})
