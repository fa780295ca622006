"""Which value of the label files is which class: by name, so that one bundle learns from label maps of any kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kdseg.data.lists.datalist import read_datalist
from kdseg.errors import UserError, suggestion

__all__ = ["class_numbers", "label_numbers", "label_structures", "structure_names"]


def class_numbers(labels: Mapping[str, str], classes: Sequence[str]) -> dict[str, list[int]]:
    """Value in the file → number of the class, as the arguments of MONAI's ``MapLabelValued``.

    Args:
        labels: value → name, as a data list has it; several values may have one name.
        classes: names of the classes 1, 2, …; all other names become 0, the background.

    Raises:
        UserError: when the labels lack one of the classes.

    Example:
        >>> class_numbers({"0": "background", "1": "spleen", "8": "aorta"}, ["aorta"])
        {'orig_labels': [0, 1, 8], 'target_labels': [0, 0, 1]}
    """
    for name in classes:
        if name not in labels.values():
            expected = f"labels of all classes: {', '.join(classes)}"
            there = [label for label in labels.values() if label != "background"]
            fix = f"{suggestion(name, there)}; rename them in the list, or set classes to those that are there"
            raise UserError("labels of the data list", found=f"no '{name}'", expected=expected, fix=fix)
    number = {name: index for index, name in enumerate(classes, start=1)}
    values = sorted(map(int, labels))
    return {"orig_labels": values, "target_labels": [number.get(labels[str(value)], 0) for value in values]}


def label_numbers(datalist: str | Path, classes: Sequence[str]) -> dict[str, list[int]]:
    """:func:`class_numbers` of the labels of a data list.

    Raises:
        UserError: when the list is not there, or has no labels.
    """
    return class_numbers(_labels(datalist), classes)


def structure_names(labels: Mapping[str, str]) -> dict[str, int]:
    """Name of a structure in a DICOM SEG or RTSTRUCT file → value, with the ways in which names are usually written.

    Example:
        >>> structure_names({"0": "background", "2": "right_kidney"})
        {'right_kidney': 2, 'right kidney': 2, 'kidney_right': 2, 'kidney right': 2}
    """
    names: dict[str, int] = {}
    for value, name in labels.items():
        words = name.split("_")
        for order in (words, [*words[1:], words[0]]):
            # in the order of the values: where structures overlap, the later one covers
            names |= {joint.join(order): int(value) for joint in "_ " if value != "0"}
    return names


def label_structures(datalist: str | Path) -> dict[str, int]:
    """:func:`structure_names` of the labels of a data list."""
    return structure_names(_labels(datalist))


def _labels(datalist: str | Path) -> dict[str, str]:
    content: dict[str, Any] = read_datalist(Path(datalist))
    if not isinstance(content.get("labels"), dict):
        fix = 'add "labels": {"0": "background", "1": …}, or write the list with kdseg prepare'
        raise UserError(Path(datalist).name, found="no labels", expected="the names of the label values", fix=fix)
    return content["labels"]
