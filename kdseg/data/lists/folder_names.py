"""Names of folders that are part of a layout, and tell nothing of whose the files are."""

from __future__ import annotations

from pathlib import Path

__all__ = ["IMAGE_FOLDERS", "MASK_FOLDERS", "SECTION_FOLDERS", "UNLABELLED_FOLDERS", "folder_parts", "folder_words"]

# the last ones are those of the Medical Segmentation Decathlon and nnU-Net
IMAGE_FOLDERS = {"images", "image", "imgs", "img", "dicom", "dicoms", "angiograms", "imagestr", "imagests"}
MASK_FOLDERS = {"masks", "mask", "labels", "label", "gt", "ground_truth", "groundtruth", "annotations", "segmentations"}
MASK_FOLDERS |= {"labelstr", "labelsts"}
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
    return [part for part in _between(path, source) if part.lower() not in LAYOUT_FOLDERS]


def folder_words(path: Path, source: Path) -> list[str]:
    """All folders between ``source`` and the file, in small letters."""
    return [part.lower() for part in _between(path, source)]


def _between(path: Path, source: Path) -> tuple[str, ...]:
    # files that were made lie outside of the source
    return path.relative_to(source).parent.parts if path.is_relative_to(source) else ()
