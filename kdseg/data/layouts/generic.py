"""Any data set: folders of images and masks, a table of them, or a challenge's ``dataset.json``."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from kdseg.data.layouts.layout import Found, Search
from kdseg.data.layouts.pairs import keep_division, name_cases
from kdseg.data.layouts.picture_folders import find_pictures
from kdseg.data.layouts.volume_folders import find_volumes
from kdseg.data.lists.datalist import IGNORED_NAME, Record
from kdseg.data.lists.folder_names import SECTION_FOLDERS
from kdseg.data.open import file_stem
from kdseg.errors import UserError

__all__ = ["find_generic", "label_names"]

COLUMNS = ("image", "label", "patient", "section", "case")


def find_generic(search: Search) -> Found:
    """Cases of a table, of a folder with a ``dataset.json`` (nnU-Net, Medical Segmentation Decathlon), or of folders.

    Labels come from ``dataset.json``, or a ``labels.json`` (value → name) in the folder. A division into folders
    ``train``, ``val`` and ``test`` is kept.

    Raises:
        UserError: when there is no such place, or nothing in it; when the table or JSON file cannot be understood.
    """
    folder = search.source
    if folder.is_file():
        found = _table(folder)
        search = Search(folder.parent, search.made, search.kind)
    elif (folder / "dataset.json").is_file():
        found = _challenge(folder)
    else:
        found = find_pictures(search) if search.kind == "picture" else find_volumes(search)
        keep_division(found, folder)
    found.labels = found.labels or label_names(search.source / "labels.json")
    name_cases(found, search)
    return found


def _table(path: Path) -> Found:
    """The cases of a CSV file; paths are relative to its folder."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        dialect = csv.Sniffer().sniff(text.splitlines()[0], ",;\t")
        rows = list(csv.DictReader(text.splitlines(), dialect=dialect))
        wrong = [name for name in rows[0] if name not in COLUMNS] + ["image"] * ("image" not in rows[0])
    except (OSError, ValueError, IndexError, csv.Error) as error:
        wrong = [type(error).__name__]
    if wrong:
        expected = f"a CSV file with the columns {', '.join(COLUMNS)}; all but image may be left out"
        fix = "write a line for each image, with its path as seen from the table"
        raise UserError(
            path, found=f"a table that cannot be used ({', '.join(map(str, wrong))})", expected=expected, fix=fix
        )
    found = Found()
    for row in rows:
        record: Record = {name: value.strip() for name, value in row.items() if value and value.strip()}
        files = {name: path.parent / record[name] for name in ("image", "label") if name in record}
        section = record.get("section", "unlabelled" if "label" not in record else "").lower()
        missing = [file for file in files.values() if not file.exists()] or ([] if "image" in record else [path])
        if missing:
            found.problem(missing[0], path.parent, "no such file", case=record.get("case"))
            continue
        record |= {name: str(file) for name, file in files.items()}
        if section := SECTION_FOLDERS.get(section, section):
            record["section"] = section
        found.records.append(record)
    return found


def _challenge(folder: Path) -> Found:
    """The cases of nnU-Net's raw layout, or of the Medical Segmentation Decathlon's.

    Of several channels the first is taken, and said. Images for testing are a test section where they have labels
    (``labelsTs``), else unlabelled.
    """
    path = folder / "dataset.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        labels = _labels(content["labels"])
        channels = list((content.get("channel_names") or content.get("modality") or {"0": ""}).values())
        ending = content.get("file_ending", ".nii.gz")
        listed = {"training": content.get("training") or [], "test": content.get("test") or []}
        entries = [(entry, section) for section, several in listed.items() for entry in several]
        images = [(entry["image"] if isinstance(entry, dict) else entry, section) for entry, section in entries]
        named = {file_stem(Path(str(image))): section for image, section in images}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        found, expected = f"content that cannot be used ({type(error).__name__}: {error})", "labels and channel_names"
        raise UserError(path, found=found, expected=expected, fix="see nnU-Net's docs/dataset_format.md") from error
    found_cases = Found(labels=labels)
    if len(channels) > 1 and any((folder / "imagesTr").glob(f"*_0001{ending}")):
        found_cases.notes.append(
            f"of {len(channels)} channels ({', '.join(map(str, channels))}) the first is taken; "
            "for another, make a folder of its images and labels"
        )
    for part, section in (("Tr", "training"), ("Ts", "test")):
        for image in sorted((folder / f"images{part}").glob(f"*{ending}")):
            stem = image.name.removesuffix(ending)
            if image.name.startswith(".") or (stem not in named and not stem.endswith("_0000")):
                continue
            case = stem if stem in named else stem.removesuffix("_0000")
            label = folder / f"labels{part}" / f"{case}{ending}"
            record = {"image": str(image), "case": case}
            if label.is_file():
                record["label"] = str(label)
            elif part == "Tr":
                found_cases.problem(image, folder, "no mask", case=case)
                continue
            record["section"] = section if "label" in record else "unlabelled"
            found_cases.records.append(record)
    if not any(record["section"] == "test" for record in found_cases.records):
        # nothing is divided yet
        for record in found_cases.records:
            if record["section"] == "training":
                del record["section"]
    return found_cases


def _labels(given: Any) -> dict[str, str]:
    """Value → name, from either direction; a name for several values is nnU-Net's region."""
    labels: dict[str, str] = {}
    for key, value in given.items():
        numbered = str(key).isdigit()
        name, number = (value, key) if numbered else (key, value)
        if isinstance(number, list):
            raise ValueError(f"the region {name}, which overlaps others")
        labels[str(int(number))] = IGNORED_NAME if name == "ignore" else str(name)
    return {"0": "background"} | labels


def label_names(path: Path) -> dict[str, str] | None:
    """The content of a ``labels.json`` (value → name) beside the data, or None where there is none.

    Raises:
        UserError: when it is something else.
    """
    if not path.is_file():
        return None
    try:
        return _labels(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, AttributeError, TypeError) as error:
        fix = 'write {"1": "spleen", "2": "liver"}'
        raise UserError(path, found=f"{type(error).__name__}", expected="value → name as JSON", fix=fix) from error
