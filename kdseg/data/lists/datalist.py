"""Data lists: which image belongs to which mask, patient, section and fold. JSON in the style of the MSD challenge."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kdseg.errors import UserError, suggestion
from kdseg.files import whole_file

__all__ = ["IGNORED_NAME", "SECTIONS", "load_datalist", "read_datalist", "save_datalist", "split_by_patient"]

SECTIONS = ("training", "validation", "test", "unlabelled")
CROSS_VALIDATED = ("training", "validation")
FILES = ("image", "label")
# the name, among a list's labels, of the value that marks pixels to be left out of training and measuring
IGNORED_NAME = "ignored"

Record = dict[str, Any]


def sections(path: str | Path) -> list[str]:
    """The names of the sections that a data list has."""
    return [name for name, value in read_datalist(Path(path)).items() if isinstance(value, list)]


def load_datalist(path: str | Path, section: str, fold: int | None = None) -> list[Record]:
    """The records of one section, with absolute paths in "image" and "label".

    Args:
        path: the list as ``kdseg prepare`` writes it, or any MSD list; paths in it are relative to its "root", and
            "root" to the folder of the list (which is also the default).
        section: "training", "validation", "test", "unlabelled", or another list in the file.
        fold: for cross-validation over training + validation together: "validation" is then every record of this
            fold, and "training" the others. The other sections are given as written.

    Raises:
        UserError: when the list is missing, not JSON, has no such section or fold, names files that are not there, or
            has one patient (without patients: one image) in two of training, validation and test.
    """
    path = Path(path)
    content = read_datalist(path)
    names = [name for name, value in content.items() if isinstance(value, list)]
    if section not in names and not (fold is not None and section in CROSS_VALIDATED):
        expected = f"one of {', '.join(names) or 'training, validation, test'}"
        fix = suggestion(section, names) if names else "make the list with 'kdseg prepare'"
        raise UserError(path.name, found=f"no section '{section}'", expected=expected, fix=fix)
    _check_patients(content, path.name, fold)
    records = content.get(section, [])
    if fold is not None and section in CROSS_VALIDATED:
        records = _of_fold(content, path.name, fold, section)
    # MSD lists name test images without a record around them
    records = [record if isinstance(record, dict) else {"image": record} for record in records]
    root = path.absolute().parent / content.get("root", ".")
    absolute = [
        record | {key: os.path.normpath(root / record[key]) for key in FILES if key in record} for record in records
    ]
    missing = [record[key] for record in absolute for key in FILES if not Path(record.get(key, root)).exists()]
    if missing:
        found = f"{len(missing)} files of section '{section}' missing, the first is {missing[0]}"
        fix = "correct \"root\" in the list, or run 'kdseg prepare' again"
        raise UserError(path.name, found=found, expected="every image and mask of the list on this disk", fix=fix)
    return absolute


def _check_patients(content: Mapping[str, Any], name: str, fold: int | None) -> None:
    """Refuse a list of which a patient is in two parts: figures measured on it would be too good."""
    seen: dict[str, tuple[str, str]] = {}
    for section in SECTIONS[:3]:
        for entry in content.get(section) or []:
            record = entry if isinstance(entry, dict) else {"image": entry}
            pooled = fold is not None and section in CROSS_VALIDATED
            part = f"fold {record.get('fold')}" if pooled else section
            case = str(record.get("case", record["image"]))
            other, where = seen.setdefault(str(record.get("patient", record["image"])), (case, part))
            if where != part:
                # cases are named and not the patient, whose name may be one
                found = f"one patient in {where} ({other}) and in {part} ({case})"
                fix = "move the cases together; 'kdseg check' finds them all"
                raise UserError(name, found=found, expected="each patient in one part only", fix=fix)


def read_datalist(path: Path) -> dict[str, Any]:
    """The content of a data list as it is written.

    Raises:
        UserError: when the file is missing or no JSON object.
    """
    if not path.is_file():
        raise UserError(path, found="no such file", expected="a data list", fix="make it with 'kdseg prepare'")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        found = f"text that is not JSON ({error})"
        raise UserError(path.name, found=found, expected="a data list", fix="make it with 'kdseg prepare'") from error
    if not isinstance(content, dict):
        found, expected = f"a JSON {type(content).__name__}", "an object with 'training' and other sections"
        raise UserError(path.name, found=found, expected=expected, fix="make the list with 'kdseg prepare'")
    return content


def _of_fold(content: Mapping[str, Any], name: str, fold: int, section: str) -> list[Record]:
    records = [record for part in CROSS_VALIDATED for record in content.get(part, [])]
    folds = sorted({record["fold"] for record in records if "fold" in record})
    if fold not in folds:
        found = f"the folds {', '.join(map(str, folds))}" if folds else "records without folds"
        fix = "choose one of these" if folds else "make the list with 'kdseg prepare --folds N'"
        raise UserError(f"{name}, fold {fold}", found=found, expected="a fold of the list", fix=fix)
    return [record for record in records if (record.get("fold") == fold) == (section == "validation")]


def save_datalist(datalist: Mapping[str, Any], path: str | Path) -> None:
    """Write a data list as JSON, under a temporary name first.

    Raises:
        UserError: when the file cannot be written.
    """
    with whole_file(Path(path)) as temporary:
        temporary.write_text(json.dumps(datalist, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def split_by_patient(
    records: Sequence[Record], seed: int = 0, fractions: Sequence[float] = (0.6, 0.2, 0.2), folds: int = 5
) -> dict[str, list[Record]]:
    """Divide records into training, validation and test; all pictures of a patient stay together.

    Patients are ordered by a hash of seed and patient, so the split depends on nothing else, and a patient added
    later moves few of the others. Training and validation records also get a "fold" over both, for cross-validation;
    the test patients are in no fold. Each section whose fraction is not zero gets at least one patient.

    A record that already has a "section" (a published split) keeps it. Where the published sections lack validation,
    it is taken from the training patients in the proportion of ``fractions``.

    Args:
        records: each with "patient", and perhaps "section". They are not changed.
        seed: another seed, another split.
        fractions: of the patients, for training, validation, test; summing to 1.
        folds: at most this many; fewer where there are fewer patients.

    Raises:
        UserError: for fractions that do not sum to 1, fewer than 2 folds, or fewer patients than sections.

    Example:
        >>> split = split_by_patient([{"patient": f"{i}"} for i in range(10)], seed=0)
        >>> [len(split[section]) for section in ("training", "validation", "test")]
        [6, 2, 2]
    """
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6:
        found, expected = " ".join(map(str, fractions)), "three parts for training, validation and test that sum to 1"
        raise UserError("fractions", found=found, expected=expected, fix="use for example 0.6 0.2 0.2")
    if folds < 2:
        raise UserError("folds", found=str(folds), expected="2 or more", fix="use for example 5")
    section_of = {record["patient"]: record["section"] for record in records if record.get("section")}
    free = _shuffled({record["patient"] for record in records} - section_of.keys(), seed)
    if not section_of:
        section_of = _divide(free, dict(zip(SECTIONS, fractions, strict=False)))
    elif "validation" not in section_of.values() and fractions[1] > 0:
        training = _shuffled({patient for patient, section in section_of.items() if section == "training"}, seed)
        section_of |= _divide(training, {"training": fractions[0], "validation": fractions[1]})
    # in a published split, what is outside it can only be for training
    section_of |= {patient: "training" for patient in free if patient not in section_of}
    cross_validated = _shuffled({patient for patient, section in section_of.items() if section != "test"}, seed)
    fold_of = {patient: index % min(folds, len(cross_validated)) for index, patient in enumerate(cross_validated)}
    split: dict[str, list[Record]] = {section: [] for section in ("training", "validation", "test")}
    for record in records:
        section = section_of[record["patient"]]
        plain = {key: value for key, value in record.items() if key != "section"}
        split[section].append(plain if section == "test" else plain | {"fold": fold_of[record["patient"]]})
    return split


def _shuffled(patients: set[str], seed: int) -> list[str]:
    return sorted(patients, key=lambda patient: hashlib.sha256(f"{seed}:{patient}".encode()).digest())


def _divide(patients: Sequence[str], fractions: Mapping[str, float]) -> dict[str, str]:
    """Give each section its share of the patients, at least one where its fraction is not zero."""
    wanted = {section: fraction / sum(fractions.values()) for section, fraction in fractions.items() if fraction > 0}
    if len(patients) < len(wanted):
        expected = f"at least {len(wanted)}, one each for {', '.join(wanted)}"
        fix = "bring more patients, or set a fraction to 0"
        raise UserError("split by patient", found=f"{len(patients)} patients", expected=expected, fix=fix)
    counts = {section: max(1, round(share * len(patients))) for section, share in wanted.items()}
    # what rounding gave or took is settled with the largest section, which feels it least
    while excess := sum(counts.values()) - len(patients):
        counts[max(counts, key=lambda section: counts[section])] -= 1 if excess > 0 else -1
    sections = [section for section, count in counts.items() for _ in range(count)]
    return dict(zip(patients, sections, strict=True))
