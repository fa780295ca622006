"""Images with COCO annotations beside them, as ARCADE has them: all vessels in one mask, or all stenoses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kdseg.data.layouts.layout import Found, Search
from kdseg.files import whole_file

__all__ = ["draw_polygons", "find_coco"]

# a narrowing is marked by a box or polygon around it, which is not the outline of a vessel
STENOSIS = "stenosis"


class Annotated(NamedTuple):
    """The size of an image, and the polygons of its vessels and stenoses."""

    width: int
    height: int
    vessels: list[list[float]]
    stenoses: list[list[float]]


def find_coco(search: Search, files: Sequence[Path], found: Found) -> set[Path]:
    """Add the records of all COCO files to ``found``; return the images that they speak for.

    Masks are drawn into the search's folder for what is made: all vessels, or where no file annotates any, all
    stenoses.
    """
    from PIL import Image

    polygons: dict[Path, dict[str, Annotated]] = {}
    for file in (path for path in files if path.suffix.lower() == ".json"):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            if isinstance(content, dict) and {"images", "annotations", "categories"} <= content.keys():
                polygons[file] = _polygons(content)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            reason = f"damaged annotations ({type(error).__name__}: {error})"
            found.problem(file, search.source, "damaged annotations", reason)
    vessels = any(image.vessels for images in polygons.values() for image in images.values())
    kind = "vessel" if vessels else STENOSIS
    spoken_for: set[Path] = set()
    for file, images in polygons.items():
        within = file.relative_to(search.source)
        folders = (file.parent.parent / "images", file.parent / "images", file.parent)
        folder = next(folder for folder in folders if folder.is_dir())
        empty = 0
        for name, image in images.items():
            spoken_for.add(folder / name)
            wanted = image.vessels if vessels else image.stenoses
            mask = search.made / within.with_suffix("") / f"{Path(name).stem}.png"
            if not wanted:
                empty += 1
                continue
            try:
                drawn = Image.fromarray(draw_polygons(wanted, image.width, image.height))
            except ValueError as error:
                found.problem(folder / name, search.source, "damaged annotations", str(error))
                continue
            with whole_file(mask) as temporary:
                drawn.save(temporary)
            found.records.append({"image": str(folder / name), "label": str(mask)})
            if not vessels:
                found.labels = {"0": "background", "1": STENOSIS}
        if empty:
            found.notes.append(f"{within} annotates no {kind} in {empty} image(s): left aside")
    return spoken_for


def _polygons(content: dict[str, Any]) -> dict[str, Annotated]:
    """The polygons of each image's file name; KeyError, TypeError or ValueError for what COCO does not define so."""
    names = {entry["id"]: str(entry.get("name", "")).lower() for entry in content["categories"]}
    images = {
        entry["id"]: (Path(entry["file_name"]).name, Annotated(int(entry["width"]), int(entry["height"]), [], []))
        for entry in content["images"]
    }
    for annotation in content["annotations"]:
        _, image = images[annotation["image_id"]]
        drawn = image.stenoses if STENOSIS in names[annotation["category_id"]] else image.vessels
        drawn += list(annotation.get("segmentation") or [])
    return dict(images.values())


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
