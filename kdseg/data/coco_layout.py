"""Finds images with COCO annotations beside them, as ARCADE has them for vessels and for stenoses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kdseg.data.coco import annotates, read_coco, write_masks
from kdseg.data.found import Found

__all__ = ["find_coco"]


def find_coco(source: Path, files: list[Path], masks_folder: Path, found: Found) -> set[Path]:
    """Add the records of all COCO files to ``found``; return the images that they speak for.

    Masks are drawn into ``masks_folder``: all vessels, or where no file annotates any, all stenoses.
    """
    contents: dict[Path, dict[str, Any]] = {}
    vessels = False
    spoken_for: set[Path] = set()
    for coco_file in (path for path in files if path.suffix.lower() == ".json"):
        with _damage_reported(coco_file, source, found):
            content = read_coco(coco_file)
            if content is not None:
                vessels = vessels or annotates(content, stenoses=False)
                contents[coco_file] = content
    for coco_file, content in contents.items():
        within = coco_file.relative_to(source).with_suffix("")
        drawn = None
        with _damage_reported(coco_file, source, found):
            drawn = write_masks(content, masks_folder / within, stenoses=not vessels)
        if drawn is None:
            continue
        masks, failed = drawn
        folders = (coco_file.parent.parent / "images", coco_file.parent / "images", coco_file.parent)
        images = next(folder for folder in folders if folder.is_dir())
        spoken_for |= {images / Path(name).name for name in [*masks, *failed]}
        if not masks:
            found.notes.append(f"{within}.json annotates no vessels and is left aside")
            continue
        if not vessels:
            found.labels = {"0": "background", "1": "stenosis"}
        found.problems += [{"case": Path(name).stem, "file": name, "reason": reason} for name, reason in failed.items()]
        found.records += [{"image": str(images / Path(name).name), "label": str(mask)} for name, mask in masks.items()]
    return spoken_for


@contextmanager
def _damage_reported(coco_file: Path, source: Path, found: Found) -> Iterator[None]:
    """Turn the errors of content that is not as COCO defines it into a problem of this file."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        reason = f"damaged annotations ({type(error).__name__}: {error})"
        name = f"{coco_file.relative_to(source).with_suffix('')}.json"
        found.problems.append({"case": coco_file.stem, "file": name, "reason": reason})
