"""Images with COCO annotations beside them, as ARCADE has them: all vessels in one mask, or all stenoses."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kdseg.data.layouts.layout import Found, Search
from kdseg.files import whole_file

__all__ = ["draw_polygons", "find_coco"]

# a narrowing is marked by a box or polygon around it, which is not the outline of a vessel
STENOSIS = "stenosis"


def find_coco(search: Search, files: Sequence[Path], found: Found) -> set[Path]:
    """Add the records of all COCO files to ``found``; return the images that they speak for.

    Masks are drawn into the search's folder for what is made: all vessels, or where no file annotates any, all
    stenoses.
    """
    contents: dict[Path, dict[str, Any]] = {}
    vessels = False
    spoken_for: set[Path] = set()
    for file in (path for path in files if path.suffix.lower() == ".json"):
        with _damage_reported(file, search, found):
            content = read_coco(file)
            if content is not None:
                vessels = vessels or annotates(content, stenoses=False)
                contents[file] = content
    kind = "vessel" if vessels else STENOSIS
    for file, content in contents.items():
        within = file.relative_to(search.source)
        with _damage_reported(file, search, found):
            masks, failed, empty = write_masks(content, search.made / within.with_suffix(""), not vessels)
            folders = (file.parent.parent / "images", file.parent / "images", file.parent)
            images = next(folder for folder in folders if folder.is_dir())
            spoken_for |= {images / Path(name).name for name in [*masks, *failed, *empty]}
            if empty:
                found.notes.append(f"{within} annotates no {kind} in {len(empty)} image(s): left aside")
            if masks and not vessels:
                found.labels = {"0": "background", "1": STENOSIS}
            for name, reason in failed.items():
                found.problem(images / Path(name).name, search.source, "damaged annotations", reason)
            found.records += [
                {"image": str(images / Path(name).name), "label": str(mask)} for name, mask in masks.items()
            ]
    return spoken_for


@contextmanager
def _damage_reported(file: Path, search: Search, found: Found) -> Iterator[None]:
    """Turn the errors of content that is not as COCO defines it into a problem of this file."""
    try:
        yield
    except (KeyError, TypeError, ValueError) as error:
        reason = f"damaged annotations ({type(error).__name__}: {error})"
        found.problem(file, search.source, "damaged annotations", reason)


def read_coco(path: Path) -> dict[str, Any] | None:
    """The content of a COCO file, or None for any other JSON file.

    Raises:
        ValueError: when the file is not JSON.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    is_coco = isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys()
    return content if is_coco else None


def annotates(content: dict[str, Any], stenoses: bool) -> bool:
    """Whether anything is annotated of one of the two kinds: stenoses, or vessels.

    Raises:
        KeyError, TypeError: when the content is not as COCO defines it.
    """
    categories = _categories(content, stenoses)
    return any(annotation["category_id"] in categories for annotation in content["annotations"])


def _categories(content: dict[str, Any], stenoses: bool) -> set[int]:
    return {
        entry["id"] for entry in content["categories"] if (STENOSIS in str(entry.get("name", "")).lower()) == stenoses
    }


def draw_polygons(polygons: list[list[float]], width: int, height: int) -> np.ndarray:
    """Fill polygons into a mask ``(H, W)`` of 0 and 255.

    A pixel belongs to a polygon when its centre lies within; COCO counts from the corner of the first pixel, so its
    centre is at (0.5, 0.5).

    Args:
        polygons: each a flat list x1, y1, x2, y2, … in pixels.

    Raises:
        ValueError: for a polygon of fewer than three points, or one in a compressed encoding.
    """
    from skimage.draw import polygon2mask

    mask = np.zeros((height, width), dtype=np.uint8)
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise ValueError("an annotation is not a list of polygons with three points or more")
        columns, rows = polygon[0::2], polygon[1::2]
        points = np.stack([rows, columns], axis=1).astype(float) - 0.5
        mask[polygon2mask((height, width), points)] = 255
    return mask


def write_masks(
    content: dict[str, Any], folder: Path, stenoses: bool
) -> tuple[dict[str, Path], dict[str, str], list[str]]:
    """Draw one PNG mask per image that has polygons of vessels, or of stenoses.

    Returns:
        the mask of each image's file name, the reason for each image whose polygons are damaged, and images without.

    Raises:
        KeyError, TypeError: when the content is not as COCO defines it.
    """
    from PIL import Image

    categories = _categories(content, stenoses)
    polygons: dict[int, list[list[float]]] = defaultdict(list)
    for annotation in content["annotations"]:
        if annotation["category_id"] in categories:
            polygons[annotation["image_id"]] += list(annotation.get("segmentation") or [])
    masks: dict[str, Path] = {}
    failed: dict[str, str] = {}
    empty: list[str] = []
    for image in content["images"]:
        name = image["file_name"]
        if image["id"] not in polygons:
            empty.append(name)
            continue
        try:
            mask = draw_polygons(polygons[image["id"]], int(image["width"]), int(image["height"]))
        except ValueError as error:
            failed[name] = str(error)
            continue
        masks[name] = folder / f"{Path(name).stem}.png"
        with whole_file(masks[name]) as temporary:
            Image.fromarray(mask).save(temporary)
    return masks, failed, empty
