"""The data lists of a comparison: one for each fold, written out so that every training reads a plain list."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kdseg.data.lists.datalist import Record, load_datalist, save_datalist
from kdseg.data.lists.semi_supervised import labelled_subset
from kdseg.errors import UserError

__all__ = ["ALL", "compare_lists"]

ALL = "all"
"""The name of the fold where there are no folds."""


def compare_lists(
    datalist: Path, folder: Path, folds: int | None = None, labelled: int | None = None
) -> dict[str, Path]:
    """Write ``fold_<name>.json`` for each fold, with the sections training, validation and test.

    - No folds: the list's own sections.
    - Folds, and a list with a test section: fold F is for validation, the others for training, the test section stays
      what it is and is the same for all folds.
    - Folds, and a list without a test section: fold F is the test set, the fold after it is for validation, the others
      for training. Every case of the list is tested once where all folds are used.

    Args:
        datalist: as ``kdseg prepare`` writes it.
        folder: where the lists go; a list that is there already with the same content is left alone.
        folds: how many of the list's folds are used, from the first one on.
        labelled: patients whose labels are kept; the images of the others become unlabelled.

    Returns:
        Name of the fold → its list.

    Raises:
        UserError: when the list has no such sections or too few folds, or names files that are not there.
    """
    # reads all that will be needed, so that a missing file is told now
    content = _content(datalist)
    lists = {ALL: _as_it_is(content, datalist)} if folds is None else _by_fold(content, datalist, folds)
    # relative where it can be, so that the folder says nothing about this machine
    root = datalist.absolute().parent / content.get("root", ".")
    written = {}
    for name, sections in lists.items():
        if labelled is not None:
            kept, others = labelled_subset(sections["training"], labelled, seed=0)
            sections = sections | {"training": kept, "unlabelled": [*others, *sections["unlabelled"]]}
        path = folder.absolute() / f"fold_{name}.json"
        plain = {key: value for key, value in content.items() if not isinstance(value, list)}
        root_from_here = Path(os.path.relpath(root.resolve(), path.parent.resolve())).as_posix()
        sections = {key: records for key, records in sections.items() if records or key != "unlabelled"}
        made = {**plain, "root": root_from_here, **sections}
        if not path.is_file() or json.loads(path.read_text(encoding="utf-8")) != made:
            save_datalist(made, path)
        for section in sections:
            load_datalist(path, section)
        written[name] = path
    return written


def _content(datalist: Path) -> dict[str, Any]:
    # as load_datalist reads it, with its messages
    load_datalist(datalist, "training")
    return json.loads(datalist.read_text(encoding="utf-8"))


def _as_it_is(content: Mapping[str, Any], datalist: Path) -> dict[str, list[Record]]:
    empty = [name for name in ("training", "validation", "test") if not content.get(name)]
    if empty:
        found = f"no cases in {', '.join(empty)}"
        fix = "make the list with 'kdseg prepare', or compare over its folds with --folds"
        raise UserError(datalist.name, found=found, expected="training, validation and test cases", fix=fix)
    return {name: _records(content, name) for name in ("training", "validation", "test", "unlabelled")}


def _by_fold(content: Mapping[str, Any], datalist: Path, folds: int) -> dict[str, dict[str, list[Record]]]:
    records = [*_records(content, "training"), *_records(content, "validation")]
    names = sorted({record["fold"] for record in records if "fold" in record})
    test = _records(content, "test")
    needed = max(folds, 2 if test else 3)
    if len(names) < needed:
        found = f"{len(names)} folds" + ("" if test else " and no test section")
        expected, fix = f"{needed} folds or more in the list", f"make the list with 'kdseg prepare --folds {needed}'"
        raise UserError(f"{datalist.name}, --folds {folds}", found=found, expected=expected, fix=fix)
    unlabelled = _records(content, "unlabelled")
    lists = {}
    for place, name in enumerate(names[:folds]):
        validated = name if test else names[(place + 1) % len(names)]
        tested = test or [record for record in records if record.get("fold") == name]
        outside = {validated} if test else {validated, name}
        # an unlabelled image of a tested patient would be a look at the test set
        patients = {record.get("patient") for record in tested} - {None}
        lists[str(name)] = {
            "training": [record for record in records if record.get("fold") not in outside],
            "validation": [record for record in records if record.get("fold") == validated],
            "test": tested,
            "unlabelled": [record for record in unlabelled if record.get("patient") not in patients],
        }
    return lists


def _records(content: Mapping[str, Sequence[Any]], section: str) -> list[Record]:
    # MSD lists name images without a record around them
    return [record if isinstance(record, dict) else {"image": record} for record in content.get(section, [])]
