"""Which value of the masks is which class: by name, so that one task learns from masks of any kind."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kdseg.data.formats.dicom.structures import plain_name
from kdseg.data.lists.datalist import IGNORED_NAME, read_datalist
from kdseg.errors import UserError, suggestion
from kdseg.losses import IGNORED

__all__ = ["class_numbers", "label_numbers", "label_structures", "mask_settings", "merged", "structure_names"]


def class_numbers(labels: Mapping[str, str], classes: Sequence[str]) -> dict[str, list[int]]:
    """Value in the file → number of the class, as the arguments of MONAI's ``MapLabelValued``.

    Args:
        labels: value → name, as a data list has it; several values may have one name. Capitals, underscores for blanks
            and the order of words do not matter.
        classes: names of the classes 1, 2, …; all other names become 0, the background; "ignored" becomes 255.

    Raises:
        UserError: when the labels lack one of the classes.

    Example:
        >>> class_numbers({"0": "background", "1": "spleen", "8": "aorta"}, ["Aorta"])
        {'orig_labels': [0, 1, 8], 'target_labels': [0, 0, 1]}
    """
    there = [name for name in dict.fromkeys(labels.values()) if name not in ("background", IGNORED_NAME)]
    number = {plain_name(name): index for index, name in enumerate(classes, start=1)} | {IGNORED_NAME: IGNORED}
    for name in classes:
        if plain_name(name) not in map(plain_name, there):
            near = suggestion(name, there)
            found = f"no '{name}' among {', '.join(there) or 'none'}"
            expected = f"labels of all classes of the task: {', '.join(classes)}"
            fix = f"{near}; name the labels (kdseg prepare --label-names), or give the task these classes"
            raise UserError("labels of the data list", found=found, expected=expected, fix=fix)
    values = sorted(map(int, labels))
    return {"orig_labels": values, "target_labels": [number.get(plain_name(labels[str(value)]), 0) for value in values]}


def label_numbers(datalist: str | Path, classes: Sequence[str]) -> dict[str, list[int]]:
    """:func:`class_numbers` of the labels of a data list.

    Raises:
        UserError: when the list is not there, or has no labels.
    """
    return class_numbers(_labels(datalist), classes)


def structure_names(labels: Mapping[str, str]) -> dict[str, int]:
    """Name of a structure in a DICOM SEG or RTSTRUCT file → value, for :func:`kdseg.data.read_label`.

    Example:
        >>> structure_names({"0": "background", "2": "right_kidney"})
        {'right_kidney': 2}
    """
    # in the order of the values: where structures overlap, the later one covers
    return {name: int(value) for value, name in labels.items() if value != "0"}


def label_structures(datalist: str | Path) -> dict[str, int]:
    """:func:`structure_names` of the labels of a data list."""
    return structure_names(_labels(datalist))


def mask_settings(labels: Mapping[str, str]) -> dict[str, Any]:
    """How :class:`kdseg.data.MaskReader` reads masks with these labels: "ignored" and "values".

    A mask of one class may be written as 0 and 1 or as 0 and 255; with more classes, or one of another number, values
    are kept as they are.

    Example:
        >>> mask_settings({"0": "background", "1": "tumour", "128": "ignored"})
        {'ignored': 128, 'values': None}
    """
    ignored = next((int(value) for value, name in labels.items() if name == IGNORED_NAME), None)
    values = sorted(int(value) for value, name in labels.items() if name != IGNORED_NAME)
    return {"ignored": ignored, "values": None if set(values) <= {0, 1} else values}


def merged(labels: Mapping[str, str], rules: Sequence[str]) -> dict[str, str]:
    """Labels in which several values have the name of one.

    Args:
        labels: value → name.
        rules: such as "1-32=1" or "3,5,7-9=2": the values on the left are what the one on the right is.

    Raises:
        UserError: for a rule that is written otherwise, or whose right side has no name.

    Example:
        >>> merged({"0": "background", "1": "gland"}, ["2-3=1"])
        {'0': 'background', '1': 'gland', '2': 'gland', '3': 'gland'}
    """
    result = dict(labels)
    for rule in rules:
        parts = re.fullmatch(r"(\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)=(\d+)", rule.replace(" ", ""))
        if not parts or parts[2] not in labels:
            named = ", ".join(f"{value} {name}" for value, name in labels.items())
            expected = f"values=one that has a name ({named})"
            raise UserError("merge", found=repr(rule), expected=expected, fix="write for example 1-32=1")
        for stretch in parts[1].split(","):
            first, _, last = stretch.partition("-")
            result |= {str(value): labels[parts[2]] for value in range(int(first), int(last or first) + 1)}
    return result


def _labels(datalist: str | Path) -> dict[str, str]:
    content: dict[str, Any] = read_datalist(Path(datalist))
    if not isinstance(content.get("labels"), dict):
        fix = 'add "labels": {"0": "background", "1": …}, or write the list with kdseg prepare'
        raise UserError(Path(datalist).name, found="no labels", expected="the names of the label values", fix=fix)
    return content["labels"]
