"""Contact sheets: every case of a set as a small picture with the contours of its label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kdseg.data.checks.findings import ERROR, WARNING
from kdseg.data.checks.loading import LoadedCase
from kdseg.files import whole_file

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

    Font = FreeTypeFont | ImageFont

__all__ = ["panel_of", "write_sheets"]

PANEL, GAP, TITLE, LEGEND, ACROSS, DOWN = 240, 8, 20, 20, 5, 4
PAPER, INK = (255, 255, 255), (20, 20, 20)
FRAMES = {ERROR: (213, 0, 0), WARNING: (230, 159, 0)}
# the colours of Okabe and Ito (2008), which people with any colour vision tell apart; then the same, paler; then again
DEEP = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))
COLOURS = (*DEEP, *((128 + red // 2, 128 + green // 2, 128 + blue // 2) for red, green, blue in DEEP))
# values that only CT has, and the window of soft tissue in which it is shown, in HU
AIR, SOFT_TISSUE = -500.0, (-160.0, 240.0)


def panel_of(loaded: LoadedCase) -> Image.Image:
    """A picture in a square, a volume as an axial and a coronal slice in two squares side by side.

    The slices with most label are shown, as radiologists see them: the patient's right on the left side of the
    picture. Without a label, the middle slices. Of a stack of sagittal slices, the sagittal one takes the place of the
    coronal: the front on the left side. Proportions are those of the spacing.
    """
    from PIL import Image, ImageDraw, ImageFont

    label = np.zeros(loaded.image.shape, dtype=np.int16) if loaded.label is None else loaded.label
    spacing = loaded.spacing
    if loaded.image.ndim == 2:
        views = [_view(loaded.image.T, label.T, spacing[1], spacing[0])]
        sides = [""]
    else:
        window = SOFT_TISSUE if np.nanmin(loaded.image) < AIR else None
        extent = np.multiply(loaded.image.shape, spacing)
        second = 0 if extent[0] * 2 < extent[1] else 1
        views = [_plane(loaded.image, label, spacing, axis, window) for axis in (2, second)]
        sides = ["R", "A" if second == 0 else "R"]
    panel = Image.new("RGB", (PANEL * len(views), PANEL), (0, 0, 0))
    for place, view in enumerate(views):
        panel.paste(view, (place * PANEL + (PANEL - view.width) // 2, (PANEL - view.height) // 2))
        corner = (place * PANEL + 6, PANEL // 2)
        ImageDraw.Draw(panel).text(corner, sides[place], PAPER, ImageFont.load_default(size=13), anchor="lm")
    return panel


def write_sheets(
    panels: Sequence[tuple[str, str | None, Image.Image]], labels: Mapping[int, str], folder: Path
) -> list[Path]:
    """Write ``sheet_01.png``, … with four rows of cases each.

    Args:
        panels: name, grade of the worst finding or None, and picture of each case.
        labels: value → name of the classes, for the legend.
        folder: where to write.
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size=13)
    paths = []
    width = max(panel.width for _, _, panel in panels) + GAP
    fitting = max(1, ACROSS * (PANEL + GAP) // width)
    pages = [panels[start : start + fitting * DOWN] for start in range(0, len(panels), fitting * DOWN)]
    for number, page in enumerate(pages, 1):
        across, rows = min(fitting, len(page)), -(-len(page) // fitting)
        size = (across * width + GAP, rows * (PANEL + TITLE + GAP) + GAP)
        legend = _legend(labels, size[0], font)
        sheet = Image.new("RGB", (size[0], size[1] + legend.height), PAPER)
        draw = ImageDraw.Draw(sheet)
        for place, (name, grade, panel) in enumerate(page):
            left, top = GAP + place % fitting * width, GAP + place // fitting * (PANEL + TITLE + GAP)
            draw.text((left, top + TITLE // 2), _shortened(name, font, panel.width), INK, font, anchor="lm")
            sheet.paste(panel, (left, top + TITLE))
            if grade:
                edge = (left - 3, top + TITLE - 3, left + panel.width + 2, top + TITLE + PANEL + 2)
                draw.rectangle(edge, outline=FRAMES[grade], width=3)
        sheet.paste(legend, (0, size[1]))
        paths.append(folder / f"sheet_{number:02}.png")
        with whole_file(paths[-1]) as unfinished:
            sheet.save(unfinished, format="PNG")
    return paths


def _fullest(label: np.ndarray, axis: int) -> int:
    counts = (label > 0).sum(axis=tuple({0, 1, 2} - {axis}))
    return int(counts.argmax()) if counts.any() else label.shape[axis] // 2


def _plane(
    image: np.ndarray, label: np.ndarray, spacing: Sequence[float], axis: int, window: tuple[float, float] | None
) -> Image.Image:
    """The slice with most label across ``axis`` of a volume in RAS order."""
    place = _fullest(label, axis)
    # rows run to the feet, or to the back; columns to the patient's left, or to the back
    views = [np.flip(array.take(place, axis)).T for array in (image, label)]
    width, height = (length for other, length in enumerate(spacing) if other != axis)
    return _view(views[0], views[1], height, width, window)


def _view(
    image: np.ndarray, label: np.ndarray, height: float, width: float, window: tuple[float, float] | None = None
) -> Image.Image:
    """A slice ``(rows, columns)`` with pixels of ``height`` and ``width``, scaled into a square."""
    from PIL import Image

    extent = image.shape[0] * height, image.shape[1] * width
    scale = PANEL / max(extent)
    size = max(1, round(extent[1] * scale)), max(1, round(extent[0] * scale))
    values = np.nan_to_num(image.astype(np.float64))
    low, high = np.quantile(values, [0.01, 0.99]) if window is None else window
    grey = np.rint(np.clip((values - low) / max(high - low, 1e-12), 0, 1) * 255).astype(np.uint8)
    picture = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR).convert("RGB")).copy()
    classes = np.asarray(Image.fromarray(label.astype(np.int32)).resize(size, Image.Resampling.NEAREST))
    edge = np.zeros(classes.shape, dtype=bool)
    for axis in (0, 1):
        for step in (1, -1):
            edge |= np.roll(classes, step, axis) != classes
    for value in np.unique(classes[classes > 0]):
        picture[edge & (classes == value)] = COLOURS[(int(value) - 1) % len(COLOURS)]
    return Image.fromarray(picture)


def _legend(labels: Mapping[int, str], width: int, font: Font) -> Image.Image:
    from PIL import Image, ImageDraw

    places: list[tuple[int, int, int, str]] = []
    left, line = GAP, 0
    for value, name in labels.items():
        needed = 22 + int(font.getlength(name)) + 16
        left, line = (GAP, line + 1) if left + needed > width and left > GAP else (left, line)
        places.append((left, line, value, name))
        left += needed
    legend = Image.new("RGB", (width, (line + 1) * LEGEND if places else 0), PAPER)
    draw = ImageDraw.Draw(legend)
    for left, line, value, name in places:
        middle = line * LEGEND + LEGEND // 2
        draw.rectangle((left, middle - 6, left + 12, middle + 6), COLOURS[(value - 1) % len(COLOURS)], INK)
        draw.text((left + 18, middle), name, INK, font, anchor="lm")
    return legend


def _shortened(name: str, font: Font, width: int) -> str:
    while font.getlength(name) > width and len(name) > 4:
        name = name[:-2] + "…"
    return name
