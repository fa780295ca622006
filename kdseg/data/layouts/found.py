"""What a folder of images and masks holds, as the finders of layouts tell it."""

from __future__ import annotations

from dataclasses import dataclass, field

from kdseg.data.lists.datalist import Record

__all__ = ["Found"]


@dataclass
class Found:
    """What a folder holds: records with absolute paths, what is wrong, and remarks that are no fault.

    A record has "image", "label" (not if unlabelled), "case", and "section" where the folder is divided into
    train/val/test, or "unlabelled". A problem has "case", "file" and "reason". ``labels``: value in the label files to
    name of the class, where the source says it.
    """

    records: list[Record] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    labels: dict[str, str] | None = None
