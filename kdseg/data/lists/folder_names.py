"""Names of folders that are part of a layout, and tell nothing of whose the files are."""

from __future__ import annotations

from pathlib import Path

__all__ = ["IMAGE_FOLDERS", "MASK_FOLDERS", "SECTION_FOLDERS", "UNLABELLED_FOLDERS", "folder_parts"]

IMAGE_FOLDERS = {"images", "image", "imgs", "img", "dicom", "dicoms", "angiograms"}
MASK_FOLDERS = {"masks", "mask", "labels", "label", "gt", "ground_truth", "groundtruth", "annotations", "segmentations"}
UNLABELLED_FOLDERS = {"unlabelled", "unlabeled"}
SECTION_FOLDERS = {
    "train": "training",
    "training": "training",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
LAYOUT_FOLDERS = IMAGE_FOLDERS | MASK_FOLDERS | UNLABELLED_FOLDERS | SECTION_FOLDERS.keys()


def folder_parts(path: Path, source: Path) -> list[str]:
    """The folders between ``source`` and the file that are not merely part of a layout."""
    return [part for part in path.relative_to(source).parent.parts if part.lower() not in LAYOUT_FOLDERS]
