"""A look at one mask: the areas of the classes in colour on the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kdseg.files import whole_file
from kdseg.pictures.colours import class_colours

__all__ = ["Panel", "coloured", "preview_picture"]

# of the colour where a class is: the rest of the grey shows through
OPACITY = 0.45
SIDE, GAP, LINE = 320, 8, 22
INK, PAPER = (20, 20, 20), (255, 255, 255)


@dataclass(frozen=True)
class Panel:
    """One picture of a preview.

    Attributes:
        grey: the image ``HW``.
        classes: class numbers ``HW``.
        spacing: distance between rows and between columns, in the same unit.
        title: printed on it.
    """

    grey: NDArray[np.uint8]
    classes: NDArray[np.uint8]
    spacing: tuple[float, float] = (1.0, 1.0)
    title: str = ""


def coloured(
    grey: NDArray[np.uint8], classes: NDArray[np.uint8], colours: Sequence[tuple[int, int, int]] | None = None
) -> NDArray[np.uint8]:
    """A grey picture ``HW`` in red, green and blue ``HW3``, with each class in its colour.

    Example:
        >>> coloured(np.full((1, 2), 100, np.uint8), np.array([[0, 1]], np.uint8)).tolist()
        [[[100, 100, 100], [158, 127, 55]]]
    """
    chosen = colours or class_colours(int(classes.max()))
    table = np.array([(0, 0, 0), *chosen], dtype=np.float32) * OPACITY
    picture = np.repeat(grey[..., None], 3, axis=-1)
    inside = classes > 0
    picture[inside] = np.rint(grey[inside, None] * (1 - OPACITY) + table[classes[inside]]).astype(np.uint8)
    return picture


def preview_picture(
    panels: Sequence[Panel], legend: Sequence[str], path: Path, texts: Mapping[str, str] | None = None
) -> Path:
    """Write panels side by side, three a row, above a legend of the classes.

    Args:
        panels: the pictures.
        legend: a text for each class, in the order of their numbers.
        path: of the PNG; written beside and renamed.
        texts: kept in the file, by their keys.

    Example:
        >>> import tempfile
        >>> panel = Panel(np.full((8, 8), 90, np.uint8), np.eye(8, dtype=np.uint8))
        >>> preview_picture([panel], ["vessel"], Path(tempfile.mkdtemp()) / "a.png").name
        'a.png'
    """
    from PIL import Image, ImageDraw, ImageFont
    from PIL.PngImagePlugin import PngInfo

    colours = class_colours(len(legend))
    columns = min(3, len(panels))
    rows, width = -(-len(panels) // 3), columns * (SIDE + GAP) + GAP
    sheet = Image.new("RGB", (width, rows * (SIDE + GAP) + GAP + LINE * len(legend) + GAP), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for number, panel in enumerate(panels):
        left, top = GAP + number % 3 * (SIDE + GAP), GAP + number // 3 * (SIDE + GAP)
        extent = np.array(panel.grey.shape) * panel.spacing
        height, across = np.maximum(1, np.rint(extent / extent.max() * SIDE).astype(int)).tolist()
        picture = Image.fromarray(coloured(panel.grey, panel.classes, colours))
        draw.rectangle((left, top, left + SIDE - 1, top + SIDE - 1), (0, 0, 0))
        sheet.paste(picture.resize((across, height), Image.Resampling.BILINEAR), (left, top))
        draw.text((left + 5, top + SIDE - 5), panel.title, PAPER, font, anchor="ls", stroke_width=2, stroke_fill=INK)
    for number, (text, colour) in enumerate(zip(legend, colours, strict=True)):
        middle = rows * (SIDE + GAP) + GAP + LINE * number + LINE // 2
        draw.rectangle((GAP, middle - 7, GAP + 14, middle + 7), colour, INK)
        draw.text((GAP + 21, middle), text, INK, font, anchor="lm")
    kept = PngInfo()
    for key, text in (texts or {}).items():
        kept.add_text(key, text)
    with whole_file(path) as temporary:
        sheet.save(temporary, format="PNG", pnginfo=kept)
    return path
