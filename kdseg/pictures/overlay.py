"""One picture of many cases: input, truth and predictions side by side, with what was found, missed and made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kdseg.errors import UserError
from kdseg.files import whole_file

if TYPE_CHECKING:
    from PIL import Image, ImageFont

__all__ = ["COLOURS", "OverlayRow", "grey_values", "overlay_picture"]

PANEL, GAP, TITLE, LEGEND = 256, 8, 26, 34
INK, PAPER = (20, 20, 20), (255, 255, 255)
# three of the colours of Okabe and Ito (2008), which people with any colour vision tell apart, also by their brightness
COLOURS = {"found": (86, 180, 233), "missed": (240, 228, 66), "false": (213, 94, 0)}


@dataclass(frozen=True)
class OverlayRow:
    """One case of the picture."""

    case: str  # its name, printed on the input; never a patient's identifier
    image: NDArray[np.generic]  # grey values, HW, any range
    truth: NDArray[np.generic]  # true pixels of the class, HW, nonzero where it is
    # predicted pixels, HW, by the name of their column, such as "teacher"
    predictions: Mapping[str, NDArray[np.generic]]
    score: str = "Dice"  # what the Dice on the predictions is called; it is that of the pixels shown


def overlay_picture(rows: Sequence[OverlayRow], path: str | Path) -> Path:
    """Write a PNG with a row of 256×256 panels for each case: input, truth, and each prediction with its Dice.

    Columns are in the order of the first row's predictions. Images of another size are scaled to fit, in proportion.

    Args:
        rows: the cases, all with predictions of the same names.
        path: of the picture; it is written beside and renamed, so it is whole or absent.

    Raises:
        UserError: there are no rows, their predictions differ in name, or an array is not ``HW`` of the image's size.

    Example:
        >>> import tempfile
        >>> square = np.pad(np.ones((8, 8)), 4)
        >>> row = OverlayRow("case 1", square * 0.5, square, {"teacher": square, "alone": np.roll(square, 2)})
        >>> overlay_picture([row], Path(tempfile.mkdtemp()) / "overlay.png").name
        'overlay.png'
    """
    from PIL import Image, ImageDraw, ImageFont

    columns = _checked_columns(rows)
    width = len(columns) * (PANEL + GAP) + GAP
    sheet = Image.new("RGB", (width, TITLE + len(rows) * (PANEL + GAP) + LEGEND), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=15)
    for column, title in enumerate(columns):
        draw.text((GAP + column * (PANEL + GAP) + PANEL // 2, TITLE // 2), title, INK, font, anchor="mm")
    for index, row in enumerate(rows):
        grey = grey_values(row.image)
        truth = np.asarray(row.truth) != 0
        panels = [_panel(grey, {}, row.case, font), _panel(grey, {"found": truth}, "", font)]
        for name in columns[2:]:
            guess = np.asarray(row.predictions[name]) != 0
            areas = {"found": truth & guess, "missed": truth & ~guess, "false": guess & ~truth}
            panels.append(_panel(grey, areas, f"{row.score} {_dice(truth, guess):.3f}", font))
        for column, panel in enumerate(panels):
            sheet.paste(panel, (GAP + column * (PANEL + GAP), TITLE + index * (PANEL + GAP)))
    left, middle = GAP, sheet.height - LEGEND // 2
    for name, text in {"found": "found", "missed": "missed", "false": "marked wrongly"}.items():
        draw.rectangle((left, middle - 7, left + 14, middle + 7), COLOURS[name], INK)
        draw.text((left + 21, middle), text, INK, font, anchor="lm")
        left += 21 + int(draw.textlength(text, font)) + 24

    path = Path(path)
    with whole_file(path) as unfinished:
        sheet.save(unfinished, format="PNG")
    return path


def _checked_columns(rows: Sequence[OverlayRow]) -> list[str]:
    """Titles of the columns, after a look at every row."""
    if not rows:
        raise UserError("overlay picture", found="no cases", expected="at least one", fix="give it a row for each case")
    names = list(rows[0].predictions)
    for row in rows:
        where = f"overlay picture, {row.case}"
        if set(row.predictions) != set(names):
            found, expected = f"predictions {', '.join(row.predictions)}", f"those of the first row: {', '.join(names)}"
            raise UserError(where, found=found, expected=expected, fix="give every case the same predictions")
        shape = np.shape(row.image)
        for name, array in {"image": row.image, "truth": row.truth, **row.predictions}.items():
            if np.ndim(array) != 2 or np.shape(array) != shape:
                expected = f"height and width, as the image's {shape}" if len(shape) == 2 else "height and width"
                fix = "drop the batch and channel axes, and choose one slice of a volume"
                raise UserError(where, found=f"{name} of shape {np.shape(array)}", expected=expected, fix=fix)
    return ["input", "truth", *names]


def grey_values(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Grey values from 0 to 255; the outermost half percent is clipped, so that a marker does not dim the rest."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    low, high = np.quantile(values, [0.005, 0.995])
    return np.rint(np.clip((values - low) / max(high - low, 1e-12), 0.0, 1.0) * 255.0).astype(np.uint8)


def _panel(
    grey: NDArray[np.uint8],
    areas: Mapping[str, NDArray[np.bool_]],
    text: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> Image.Image:
    """The image with coloured areas, fitted into a square, and a line of text in its lower left corner."""
    from PIL import Image, ImageDraw

    scale = PANEL / max(grey.shape)
    size = (max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale)))
    picture = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BICUBIC).convert("RGB")).astype(np.float64)
    for name, area in areas.items():
        fitted = np.asarray(Image.fromarray(area.astype(np.uint8)).resize(size, Image.Resampling.NEAREST)) != 0
        # a little of the grey shows through, so that the vessel can still be judged
        picture[fitted] = 0.3 * picture[fitted] + 0.7 * np.array(COLOURS[name])
    panel = Image.new("RGB", (PANEL, PANEL), (0, 0, 0))
    fitted_picture = Image.fromarray(np.rint(picture).astype(np.uint8))
    panel.paste(fitted_picture, ((PANEL - size[0]) // 2, (PANEL - size[1]) // 2))
    if text:
        place = (6, PANEL - 6)
        ImageDraw.Draw(panel).text(place, text, PAPER, font, anchor="ls", stroke_width=2, stroke_fill=(0, 0, 0))
    return panel


def _dice(truth: NDArray[np.bool_], guess: NDArray[np.bool_]) -> float:
    """Dice of two masks; two empty masks agree."""
    total = int(truth.sum()) + int(guess.sum())
    return 2.0 * int((truth & guess).sum()) / total if total else 1.0
