"""A look at one mask: the areas of the classes in colour on the image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kdseg.pictures.colours import class_colours

__all__ = ["coloured"]

# of the colour where a class is: the rest of the grey shows through
OPACITY = 0.45


def coloured(grey: NDArray[np.uint8], classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A grey picture ``HW`` in red, green and blue ``HW3``, with each class in its colour.

    Example:
        >>> coloured(np.full((1, 2), 100, np.uint8), np.array([[0, 1]], np.uint8)).tolist()
        [[[100, 100, 100], [158, 127, 55]]]
    """
    colours = np.array([(0, 0, 0), *class_colours(int(classes.max()))], dtype=np.float32) * OPACITY
    picture = np.repeat(grey[..., None], 3, axis=-1)
    inside = classes > 0
    shown = grey[inside, None] * (1 - OPACITY) + colours[classes[inside]]
    picture[inside] = np.rint(shown).astype(np.uint8)
    return picture
