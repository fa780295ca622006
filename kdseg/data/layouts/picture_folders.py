"""Finds pictures and their masks in the folder layouts that people have: angiograms, fields of tissue."""

from __future__ import annotations

from pathlib import Path

from kdseg.data.layouts.coco import find_coco
from kdseg.data.layouts.layout import Found, Search
from kdseg.data.layouts.pairs import Key, by_key, listed, pair
from kdseg.data.lists.folder_names import UNLABELLED_FOLDERS, folder_words
from kdseg.data.open import file_kind, files_below
from kdseg.errors import UserError

__all__ = ["find_pictures"]

# of its training part: made-up vessel shapes, angiograms without masks, frames before the contrast comes
XCAD_FOLDERS = ("trainA", "trainB", "trainC")


def find_pictures(search: Search) -> Found:
    """Pair the pictures below a folder with their masks.

    Layouts, which may be mixed and nested (a folder per patient, train/val/test folders, both):

    - ``images/7.png`` and ``masks/7.png`` (or labels, gt, …; the suffix may differ), or ``7.png`` and ``masks/7.png``;
    - ``7.png`` and ``7_gt.png`` (or _mask, _label, _seg, or the search's own ending) in one folder or in two;
    - ``7.dcm`` or a whole-slide file and a picture or NIfTI mask ``7.png`` in one folder; ``7.jpg`` and ``7.png``;
    - ``unlabelled/``: images without masks, all of them wanted;
    - COCO annotations beside ``images/``, as in ARCADE: polygons of all vessel classes are drawn into masks; where
      there are only stenoses, as in ARCADE's second task, those (and "labels" says so);
    - ``train/trainA``, ``trainB``, ``trainC``, as in XCAD: the angiograms of trainB are unlabelled.

    An image without a mask is a problem in a folder where others have one; elsewhere it is only remarked.

    Raises:
        UserError: when the folder is not there or has no images.
    """
    found = Found()
    files = [path for path in files_below(search.source) if search.made not in path.parents]
    drawn = find_coco(search, files, found)
    pictures = [path for path in files if path not in drawn and file_kind(path)]
    if not pictures and not drawn:
        expected = "DICOM files, PNG, JPEG, TIFF, PGM, BMP pictures, NIfTI or whole-slide files"
        fix = "see docs/data.md for the layouts that are understood"
        raise UserError(search.source, found="no images", expected=expected, fix=fix)
    extras = [path for path in pictures if _is_xcad(path.parent, "trainA") or _is_xcad(path.parent, "trainC")]
    if extras:
        found.notes.append(f"{len(extras)} picture(s) of trainA and trainC, which are no angiograms, are left aside")
    unlabelled = [path for path in pictures if _is_unlabelled(path, search.source)]
    found.records += [{"image": str(path), "section": "unlabelled"} for path in unlabelled]
    images, masks = by_key((path for path in pictures if path not in {*extras, *unlabelled}), search)
    _take_masks_beside_images(images, masks)
    records = {path: ({"image": str(path)}, masks.get(key, [])) for path, key in images.items()}
    every_mask = [path for several in masks.values() for path in several]
    if apart := pair(records, every_mask, search, found):
        found.notes.append(f"{listed(apart)} without masks left aside; to use them, put them into unlabelled/")
    return found


def _is_unlabelled(path: Path, source: Path) -> bool:
    return bool(UNLABELLED_FOLDERS & set(folder_words(path, source))) or _is_xcad(path.parent, "trainB")


def _is_xcad(folder: Path, name: str) -> bool:
    """Whether this is the folder of that name beside XCAD's others."""
    return folder.name == name and all((folder.parent / other).is_dir() for other in XCAD_FOLDERS)


def _take_masks_beside_images(images: dict[Path, Key], masks: dict[Key, list[Path]]) -> None:
    """Of several files of one name in a folder that have no mask yet, tell which one is the image of the others.

    It is the DICOM or whole-slide file; else the JPEG, when the other is a PNG, which holds masks without loss.
    """
    of_one_name: dict[Key, list[Path]] = {}
    for path, key in images.items():
        if key not in masks:
            of_one_name.setdefault(key, []).append(path)
    for key, paths in of_one_name.items():
        scans = {path for path in paths if file_kind(path) in ("dicom", "slide")}
        suffixes = sorted(path.suffix.lower().replace("jpeg", "jpg") for path in paths)
        drawn = [path for path in paths if path not in scans] if scans else []
        if suffixes == [".jpg", ".png"]:
            drawn = [path for path in paths if path.suffix.lower() == ".png"]
        for path in drawn:
            masks.setdefault(key, []).append(path)
            del images[path]
