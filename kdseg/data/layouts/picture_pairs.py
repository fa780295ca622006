"""Finds 2-D images and their masks in the folder layouts that people have: angiograms, fields of tissue."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from kdseg.data.layouts.coco import find_coco
from kdseg.data.layouts.found import Found
from kdseg.data.lists.datalist import Record
from kdseg.data.lists.folder_names import (
    IMAGE_FOLDERS,
    MASK_FOLDERS,
    SECTION_FOLDERS,
    UNLABELLED_FOLDERS,
)
from kdseg.data.open import file_kind, file_stem, natural_order
from kdseg.errors import UserError

__all__ = ["find_pictures"]

# of its training part: made-up vessel shapes, angiograms without masks, frames before the contrast comes
XCAD_FOLDERS = ("trainA", "trainB", "trainC")
MASK_STEM = re.compile(r"^(?P<stem>.+)[_-](gt|masks?|labels?|seg)$", re.IGNORECASE)
# stands for the image or mask folder, so that images/7.png and masks/7.png have one key
HERE = "*"

Key = tuple[tuple[str, ...], str]


def find_pictures(source: Path, masks_folder: Path) -> Found:
    """Pair the images below ``source`` with their masks.

    Layouts, which may be mixed and nested (a folder per patient, train/val/test folders, both):

    - ``images/7.png`` and ``masks/7.png`` (or labels, gt, …; the suffix may differ), or ``7.png`` and ``masks/7.png``;
    - ``7.png`` and ``7_gt.png`` (or _mask, _label, _seg) in one folder or in image and mask folders, as in DCA1;
    - ``7.dcm`` or a whole-slide file and a picture or NIfTI mask ``7.png`` in one folder; ``7.jpg`` and ``7.png``;
    - ``unlabelled/``: images without masks, all of them wanted;
    - COCO annotations beside ``images/``, as in ARCADE: polygons of all vessel classes are drawn into ``masks_folder``;
      where there are only stenoses, as in ARCADE's second task, those (and "labels" says so);
    - ``train/trainA``, ``trainB``, ``trainC``, as in XCAD: the angiograms of trainB are unlabelled.

    An image without a mask is a problem in a folder where others have one; elsewhere it is only remarked.

    Args:
        source: the folder to look through.
        masks_folder: where drawn masks are written; only made when there are COCO annotations.

    Raises:
        UserError: when the folder is not there or has no images.
    """
    if not source.is_dir():
        raise UserError(source, found="no such folder", expected="a folder of images", fix="check the path")
    files = [
        path for path in sorted(source.rglob("*"), key=natural_order) if path.is_file() and not _hidden(path, source)
    ]
    found = Found()
    drawn = find_coco(source, files, masks_folder, found)
    others = [path for path in files if path not in drawn and masks_folder not in path.parents and file_kind(path)]
    if not others and not drawn:
        raise UserError(
            source,
            found="no images",
            expected="DICOM files, PNG, JPEG, TIFF, PGM, BMP pictures, NIfTI or whole-slide files",
            fix="see docs/data.md for the layouts that are understood",
        )
    others = _without_xcad_extras(others, found)
    wanted = [path for path in others if not _is_unlabelled(path, source)]
    found.records += [{"image": str(path), "section": "unlabelled"} for path in others if path not in set(wanted)]
    _pair(source, wanted, found)
    _keep_published_split(source, found)
    _name_cases(source, found.records)
    return found


def _is_unlabelled(path: Path, source: Path) -> bool:
    return bool(_words(path, source) & UNLABELLED_FOLDERS) or _is_xcad(path.parent, "trainB")


def _is_xcad(folder: Path, name: str) -> bool:
    """Whether this is the folder of that name beside XCAD's others."""
    return folder.name == name and all((folder.parent / other).is_dir() for other in XCAD_FOLDERS)


def _without_xcad_extras(paths: list[Path], found: Found) -> list[Path]:
    """Leave XCAD's made-up vessel shapes (trainA) and its frames without contrast (trainC) aside."""
    extras = [path for path in paths if _is_xcad(path.parent, "trainA") or _is_xcad(path.parent, "trainC")]
    if extras:
        found.notes.append(f"{len(extras)} picture(s) of trainA and trainC, which are no angiograms, are left aside")
    return [path for path in paths if path not in set(extras)]


def _hidden(path: Path, source: Path) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(source).parts)


def _words(path: Path, source: Path) -> set[str]:
    return {part.lower() for part in path.relative_to(source).parent.parts}


def _pair(source: Path, files: list[Path], found: Found) -> None:
    """Add the records of images and masks that are files of their own."""
    masks: dict[Key, list[Path]] = {}
    images: dict[Path, Key] = {}
    for path in files:
        parts, stem = _key(path, source)
        suffixed = MASK_STEM.match(stem)
        if _words(path, source) & MASK_FOLDERS or suffixed:
            masks.setdefault((parts, suffixed["stem"] if suffixed else stem), []).append(path)
        else:
            images[path] = (parts, stem)
    _take_masks_beside_images(images, masks)
    paired: dict[Path, list[Path]] = {}
    for path, (parts, stem) in images.items():
        # an image beside the masks folder, not in an images folder of its own
        keys = [(parts, stem), *([((*parts, HERE), stem)] if HERE not in parts else [])]
        paired[path] = next((masks[key] for key in keys if key in masks), [])
    used = {mask for several in paired.values() for mask in several}
    folders_with_pairs = {path.parent for path, several in paired.items() if several}
    apart = []
    for path, several in paired.items():
        case = {"case": file_stem(path), "file": str(path.relative_to(source))}
        if len(several) == 1:
            found.records.append({"image": str(path), "label": str(several[0])})
        elif several:
            names = ", ".join(str(mask.relative_to(source)) for mask in several)
            found.problems.append(case | {"reason": f"more than one mask: {names}"})
        elif path.parent in folders_with_pairs:
            found.problems.append(case | {"reason": "no mask"})
        else:
            apart.append(case["file"])
    found.problems += [
        {"case": file_stem(mask), "file": str(mask.relative_to(source)), "reason": "a mask without an image"}
        for several in masks.values()
        for mask in several
        if mask not in used
    ]
    if apart:
        names = ", ".join(apart[:3]) + (", …" if len(apart) > 3 else "")
        found.notes.append(
            f"{len(apart)} image(s) without masks left aside ({names}); to use them, put them into unlabelled/"
        )


def _key(path: Path, source: Path) -> Key:
    parts = path.relative_to(source).parent.parts
    return tuple(HERE if part.lower() in IMAGE_FOLDERS | MASK_FOLDERS else part for part in parts), file_stem(path)


def _take_masks_beside_images(images: dict[Path, Key], masks: dict[Key, list[Path]]) -> None:
    """Of several files of one stem in a folder that have no mask yet, tell which one is the image of the others.

    It is the DICOM or whole-slide file; else the JPEG, when the other is a PNG, which holds masks without loss.
    """
    of_one_stem: dict[Key, list[Path]] = {}
    for path, key in images.items():
        if key not in masks:
            of_one_stem.setdefault(key, []).append(path)
    for key, paths in of_one_stem.items():
        scans = {path for path in paths if file_kind(path) in ("dicom", "slide")}
        suffixes = sorted(path.suffix.lower().replace("jpeg", "jpg") for path in paths)
        drawn = [path for path in paths if path not in scans] if scans else []
        if suffixes == [".jpg", ".png"]:
            drawn = [path for path in paths if path.suffix.lower() == ".png"]
        for path in drawn:
            masks.setdefault(key, []).append(path)
            del images[path]


def _keep_published_split(source: Path, found: Found) -> None:
    """Set "section" from train/val/test folders, when there are at least two of them."""
    sections = {}
    for record in found.records:
        words = [part.lower() for part in Path(record["image"]).relative_to(source).parent.parts]
        section = next((SECTION_FOLDERS[word] for word in words if word in SECTION_FOLDERS), None)
        if section and record.get("section") != "unlabelled":
            sections[record["image"]] = section
    if len(set(sections.values())) > 1:
        for record in found.records:
            if record["image"] in sections:
                record["section"] = sections[record["image"]]
        found.notes.append("the folders' own division into " + ", ".join(sorted(set(sections.values()))) + " is kept")


def _name_cases(source: Path, records: list[Record]) -> None:
    """Name each case by its stem; with its folders where stems repeat; with its suffix where even that repeats."""

    def with_folders(path: Path) -> str:
        parts = [part for part in path.relative_to(source).parent.parts if part.lower() not in IMAGE_FOLDERS]
        return "_".join([*parts, file_stem(path)])

    paths = [Path(record["image"]) for record in records]
    stems = Counter(file_stem(path) for path in paths)
    names = [file_stem(path) if stems[file_stem(path)] == 1 else with_folders(path) for path in paths]
    repeats = Counter(names)
    for record, path, name in zip(records, paths, names, strict=True):
        record["case"] = name if repeats[name] == 1 else f"{name}_{path.suffix[1:]}"
