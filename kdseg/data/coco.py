"""Masks from COCO annotations, as ARCADE publishes them: all vessel segments in one mask, or all stenoses."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from kdseg.files import whole_file

__all__ = ["annotates", "draw_polygons", "read_coco", "write_masks"]

# a narrowing is marked by a box or polygon around it, which is not the outline of a vessel
STENOSIS = "stenosis"


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
    content: dict[str, Any], folder: Path, stenoses: bool = False
) -> tuple[dict[str, Path], dict[str, str]]:
    """Draw one PNG mask per image that has polygons of vessels, or of stenoses.

    Returns:
        the mask of each image's file name, and the reason for each image that got none.

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
    for image in content["images"]:
        name = image["file_name"]
        if image["id"] not in polygons:
            failed[name] = f"no {STENOSIS if stenoses else 'vessel'} is annotated in it"
            continue
        try:
            mask = draw_polygons(polygons[image["id"]], int(image["width"]), int(image["height"]))
        except ValueError as error:
            failed[name] = str(error)
            continue
        masks[name] = folder / f"{Path(name).stem}.png"
        with whole_file(masks[name]) as temporary:
            Image.fromarray(mask).save(temporary)
    return masks, failed
