"""Names of cases: the stem of the file, with its folders where that repeats."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from kdseg.data.layouts.found import Found
from kdseg.data.layouts.volume_pairs import IMAGE_FOLDERS
from kdseg.data.lists.datalist import Record
from kdseg.data.open import file_kind, file_stem

__all__ = ["name_cases"]


def name_cases(found: Found, source: Path) -> None:
    """Set "case" of every record that has none: a file's stem, or a series' folder; longer where it repeats."""
    short = [record.get("case") or _parts(record, source)[-1] for record in found.records]
    repeats = Counter(short)
    for record, name in zip(found.records, short, strict=True):
        record["case"] = name if repeats[name] == 1 else "_".join(_parts(record, source))
    again = Counter(record["case"] for record in found.records)
    for number, record in enumerate(found.records):
        if again[record["case"]] > 1:
            record["case"] += f"_{number}"


def _parts(record: Record, source: Path) -> list[str]:
    path = Path(record["image"])
    # volumes that were made lie outside of the source
    inner = path.relative_to(source) if path.is_relative_to(source) else Path(path.name)
    folders = [part for part in inner.parent.parts if part.lower() not in IMAGE_FOLDERS]
    if file_kind(path) == "dicom":
        return folders or [inner.parent.name or source.name]
    return [*folders, file_stem(path)]
