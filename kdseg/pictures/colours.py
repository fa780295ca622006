"""A colour for each class, told apart by any eye as long as there are few."""

from __future__ import annotations

import colorsys

__all__ = ["class_colours"]

# Okabe and Ito (2008), brightest first; without black and white
FEW = [(230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167), (0, 114, 178)]
# the next hue is this part of the circle further: never the same again, and far from the last ones
GOLDEN = 0.618034


def class_colours(count: int) -> list[tuple[int, int, int]]:
    """Red, green and blue, 0 to 255, of ``count`` classes; the first ones are the same for every count.

    Example:
        >>> class_colours(1), len(set(class_colours(60)))
        ([(230, 159, 0)], 60)
    """
    more = []
    for number in range(max(0, count - len(FEW))):
        hue, light = number * GOLDEN % 1, (0.65, 0.45, 0.8)[number % 3]
        red, green, blue = colorsys.hls_to_rgb(hue, light, 0.7)
        more.append((round(255 * red), round(255 * green), round(255 * blue)))
    return [*FEW, *more][:count]
