"""What a layout is: how images and masks are found in a folder, what their values mean, how they were divided."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kdseg.data.lists.datalist import Record
from kdseg.data.open import file_stem

__all__ = ["Found", "Layout", "Search"]


@dataclass(frozen=True)
class Search:
    """What is looked for.

    Attributes:
        source: the folder (or table) that was named; it is only read.
        made: a folder for files that have to be made, such as masks drawn from polygons.
        kind: "picture" or "volume".
        modality: DICOM modalities that are taken; empty: any.
        series: a word of the description of the DICOM series that is meant, where a study has several.
        plane: of the DICOM series that is meant.
        mask_suffix: what a mask's name has more than its image's, such as "_anno".
    """

    source: Path
    made: Path
    kind: str = "picture"
    modality: Sequence[str] = ()
    series: str | None = None
    plane: str | None = None
    mask_suffix: str | None = None


@dataclass
class Found:
    """What a folder holds.

    Attributes:
        records: each with "image", "label" (not if unlabelled), "case", and where the layout tells it "patient", "site"
            and "section" ("training", "validation", "test", "unlabelled"); absolute paths.
        problems: each with "case", "file", "kind" (the same words for all of a kind), "reason", and perhaps "near": the
            file that was probably meant.
        notes: remarks that are no fault.
        labels: value in the masks → name of the class, where the source says it.
    """

    records: list[Record] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    labels: dict[str, str] | None = None

    def problem(self, path: Path, source: Path, kind: str, reason: str | None = None, case: str | None = None) -> None:
        """Add a problem of a file."""
        file = str(path.relative_to(source)) if path.is_relative_to(source) else path.name
        self.problems.append({"case": case or file_stem(path), "file": file, "kind": kind, "reason": reason or kind})


@dataclass(frozen=True)
class Layout:
    """A way in which data sets lie in folders, for ``kdseg prepare --layout``.

    Attributes:
        find: pairs images with masks.
        labels: value in the masks → name, where the source itself does not say; None: the task's classes in order.
        protocols: published ways to divide the cases: name → a function that sets "section", and leaves cases out.
    """

    find: Callable[[Search], Found]
    labels: Mapping[str, str] | None = None
    protocols: Mapping[str, Callable[[list[Record]], list[Record]]] = field(default_factory=dict)
