"""Pairs images with masks by the names of files and folders, and explains what is left over."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from kdseg.data.layouts.layout import Found, Search
from kdseg.data.lists.datalist import Record
from kdseg.data.lists.folder_names import IMAGE_FOLDERS, MASK_FOLDERS, SECTION_FOLDERS, folder_words
from kdseg.data.open import content_hash, file_kind, file_stem

__all__ = ["Key", "by_key", "file_key", "keep_division", "listed", "name_cases", "pair"]

Key = tuple[tuple[str, ...], str]
"""What an image and its mask have in common: folders and name, without words that say which of the two it is."""

MASK_WORDS = "segmentations?|seg|labels?|masks?|gt|ground_?truth|anno(?:tation)?s?|gland|prostate"
IMAGE_WORDS = "images?|img|dicom|ct|mri?|t2w?|volume"
# a word at the end, or before a number, or alone
MASK_NAME = re.compile(rf"(?:{MASK_WORDS})(?:[_-]?(?P<start>\d.*))?|(?P<end>.+?)[_-](?:{MASK_WORDS})", re.IGNORECASE)
IMAGE_NAME = re.compile(
    rf"(?:{IMAGE_WORDS})(?:[_-]?(?P<start>\d.*))?|(?P<end>.+?)[_-](?:{IMAGE_WORDS}|0000)", re.IGNORECASE
)
# problems of a kind for which the nearest name is looked for
EXPLAINED = 3


def file_key(path: Path, search: Search) -> tuple[Key, bool]:
    """The key of a file, and whether it is a mask."""
    folders = path.relative_to(search.source).parent.parts
    is_mask = any(part.lower() in MASK_FOLDERS for part in folders)
    stem = file_stem(path)
    if search.mask_suffix and stem.lower().endswith(search.mask_suffix.lower()):
        stem, is_mask = stem[: -len(search.mask_suffix)], True
    elif name := MASK_NAME.fullmatch(stem):
        stem, is_mask = name["end"] or name["start"] or "", True
    while name := IMAGE_NAME.fullmatch(stem):
        stem = name["end"] or name["start"] or ""
    return (tuple(part for part in folders if part.lower() not in IMAGE_FOLDERS | MASK_FOLDERS), stem), is_mask


def by_key(paths: Iterable[Path], search: Search) -> tuple[dict[Path, Key], dict[Key, list[Path]]]:
    """The key of each image, and the masks of each key."""
    keys = {path: file_key(path, search) for path in paths}
    masks: dict[Key, list[Path]] = {}
    for path, (key, is_mask) in keys.items():
        if is_mask:
            masks.setdefault(key, []).append(path)
    return {path: key for path, (key, is_mask) in keys.items() if not is_mask}, masks


def pair(
    images: Mapping[Path, tuple[Record, Sequence[Path]]], masks: Iterable[Path], search: Search, found: Found
) -> list[Path]:
    """Add the records of images with one mask to ``found``, and what is wrong.

    A mask that is there several times counts once. An image without a mask is a problem beside pictures that have one.

    Args:
        images: each with its record and the masks that were found for it.
        masks: all masks; those that no image has are problems.
        search: what is looked for.
        found: added to.

    Returns:
        the other images without a mask, less those that are made from a case and are no image of their own, such as
        ``7_zones.nii.gz`` beside the labelled ``7.nii.gz``.
    """
    alone: list[Path] = []
    labelled: set[tuple[Path, str]] = set()
    used: set[Path] = set()
    for path, (record, several) in images.items():
        used.update(several)
        if len(several) > 1 and len({content_hash(mask) for mask in several}) > 1:
            names = ", ".join(str(mask.relative_to(search.source)) for mask in several)
            found.problem(path, search.source, "more than one mask", f"more than one mask: {names}")
        elif several:
            found.records.append(record | {"label": str(several[0])})
            labelled |= {(path.parent, stem) for stem in (file_stem(path), file_key(path, search)[0][1]) if stem}
        else:
            alone.append(path)
    derived = [path for path in alone if any((path.parent, stem) in labelled for stem in _beginnings(file_stem(path)))]
    if derived:
        found.notes.append(f"{listed(derived)} taken to be made from a case that has a mask, and left aside")
    alone = [path for path in alone if path not in set(derived)]
    _suggest_suffix(alone, found)
    unused = [mask for mask in masks if mask not in used]
    folders = {path.parent for path, (_, several) in images.items() if several} if search.kind == "picture" else set()
    faults = [path for path in alone if path.parent in folders]
    for kind, paths, others in (("no mask", faults, unused), ("a mask without an image", unused, alone)):
        candidates = {file_stem(other): str(other.relative_to(search.source)) for other in others}
        for number, path in enumerate(paths):
            found.problem(path, search.source, kind)
            near = difflib.get_close_matches(file_stem(path), candidates, n=1) if number < EXPLAINED else ()
            if near:
                found.problems[-1]["near"] = candidates[near[0]]
    return [path for path in alone if path.parent not in folders]


def _beginnings(stem: str) -> list[str]:
    """What comes before each separator."""
    return [stem[: mark.start()] for mark in re.finditer(r"[ _.-]", stem) if mark.start()]


def _suggest_suffix(alone: Sequence[Path], found: Found) -> None:
    """Tell of an ending that files without a mask have beside files of the same name without it."""
    stems = {(path.parent, file_stem(path)) for path in alone}
    endings = Counter(
        file_stem(path)[len(beginning) :]
        for path in alone
        for beginning in _beginnings(file_stem(path))
        if (path.parent, beginning) in stems
    )
    for ending, count in endings.most_common(1):
        found.notes.append(
            f"{count} file(s) end in '{ending}' beside one without it: if these are masks, use --mask-suffix {ending}"
        )


def listed(paths: Sequence[Path]) -> str:
    """Files in a few words."""
    return f"{len(paths)} file(s) ({', '.join(path.name for path in paths[:3])}{', …' if len(paths) > 3 else ''})"


def keep_division(found: Found, source: Path) -> None:
    """Set "section" from train/val/test folders, when there are at least two of them."""
    sections = {}
    for record in found.records:
        words = folder_words(Path(record["image"]), source)
        section = next((SECTION_FOLDERS[word] for word in words if word in SECTION_FOLDERS), None)
        if section and "section" not in record:
            sections[record["image"]] = section
    if len(set(sections.values())) > 1:
        for record in found.records:
            if record["image"] in sections:
                record["section"] = sections[record["image"]]
        found.notes.append("the folders' own division into " + ", ".join(sorted(set(sections.values()))) + " is kept")


def name_cases(found: Found, search: Search) -> None:
    """Set "case" of every record that has none: a file's stem, or a series' folder; longer where it repeats."""
    words = [_words(Path(record["image"]), search) for record in found.records]
    short = [record.get("case") or name[-1] for record, name in zip(found.records, words, strict=True)]
    repeats = Counter(short)
    names = [name if repeats[name] == 1 else "_".join(full) for name, full in zip(short, words, strict=True)]
    again = Counter(names)
    for number, (record, name) in enumerate(zip(found.records, names, strict=True)):
        record["case"] = name if again[name] == 1 else f"{name}_{number}"


def _words(path: Path, search: Search) -> list[str]:
    inner = path.relative_to(search.source) if path.is_relative_to(search.source) else Path(path.name)
    folders = [part for part in inner.parent.parts if part.lower() not in IMAGE_FOLDERS]
    if search.kind == "volume" and file_kind(path) == "dicom":
        return folders or [inner.parent.name or search.source.name]
    return [*folders, file_stem(path)]
