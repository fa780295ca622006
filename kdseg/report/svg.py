"""A sheet to draw charts on: SVG elements whose colours come from the page's style, in light and in dark."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from xml.etree import ElementTree

from markupsafe import Markup

__all__ = ["Sheet", "apart", "linear_scale", "linear_ticks", "log_scale", "log_ticks"]

Scale = Callable[[float], float]


class Sheet:
    """Collects elements; ``markup`` is the picture.

    Args:
        width: in units of the view box; the page scales it.
        height: in the same units.
        title: what the picture shows, for those who cannot see it.
        description: what is to be seen in it, in a sentence or two.
    """

    _numbers = itertools.count(1)

    def __init__(self, width: float, height: float, title: str, description: str = "") -> None:
        self.width, self.height = width, height
        name = f"chart{next(self._numbers)}"
        self.root = ElementTree.Element(
            "svg",
            {
                "viewBox": f"0 0 {width:g} {height:g}",
                "role": "img",
                "aria-labelledby": f"{name}-title {name}-description",
                "class": "chart",
                "style": f"max-width:{width:g}px",
            },
        )
        ElementTree.SubElement(self.root, "title", {"id": f"{name}-title"}).text = title
        ElementTree.SubElement(self.root, "desc", {"id": f"{name}-description"}).text = description

    @property
    def markup(self) -> Markup:
        # the serialiser escapes all text
        return Markup(ElementTree.tostring(self.root, encoding="unicode"))

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> None:
        self._add("text", kind, x=x, y=y, **{"text-anchor": anchor}).text = text

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str = "") -> None:
        self._add("line", kind, x1=x1, y1=y1, x2=x2, y2=y2)

    def path(self, points: Sequence[tuple[float, float]], kind: str = "", hint: str = "") -> None:
        places = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        self._hint(self._add("path", kind, d=f"M{places}"), hint)

    def circle(self, x: float, y: float, radius: float, kind: str = "", hint: str = "") -> None:
        self._hint(self._add("circle", kind, cx=x, cy=y, r=radius), hint)

    def diamond(self, x: float, y: float, radius: float, kind: str = "", hint: str = "") -> None:
        corners = [(x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y), (x, y - radius)]
        self.path(corners, kind, hint)

    def rectangle(self, x: float, y: float, width: float, height: float, kind: str = "", hint: str = "") -> None:
        self._hint(self._add("rect", kind, x=x, y=y, width=max(width, 0.0), height=max(height, 0.0)), hint)

    def _add(self, name: str, kind: str, **attributes: float | str) -> ElementTree.Element:
        values = {
            key: f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
            for key, value in attributes.items()
        }
        return ElementTree.SubElement(self.root, name, ({"class": kind} if kind else {}) | values)

    @staticmethod
    def _hint(element: ElementTree.Element, hint: str) -> None:
        if hint:
            ElementTree.SubElement(element, "title").text = hint


def apart(places: Sequence[float], least: float = 15.0) -> list[float]:
    """Heights for labels, as near to the wanted ones as the room that each needs allows; from top to bottom.

    Example:
        >>> apart([10.0, 40.0, 12.0])
        [10.0, 40.0, 25.0]
    """
    moved = list(places)
    order = sorted(range(len(places)), key=lambda index: places[index])
    for above, below in itertools.pairwise(order):
        moved[below] = max(moved[below], moved[above] + least)
    return moved


def linear_scale(low: float, high: float, start: float, end: float) -> Scale:
    """Maps ``low … high`` to ``start … end``."""
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def log_scale(low: float, high: float, start: float, end: float) -> Scale:
    """The same for the logarithms."""
    inner = linear_scale(math.log10(low), math.log10(high), start, end)
    return lambda value: inner(math.log10(value))


def linear_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers within the range, about ``count`` of them.

    Example:
        >>> linear_ticks(0.683, 0.771)
        [0.7, 0.72, 0.74, 0.76]
    """
    rough = max(high - low, 1e-12) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten within the range, and 2 and 5 between them where it is short.

    Example:
        >>> log_ticks(40, 7000), log_ticks(2, 30)
        ([100.0, 1000.0], [2.0, 5.0, 10.0, 20.0])
    """
    sizes = (1, 2, 5) if high / low < 200 / 2 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(size * 10.0**power) for power in powers for size in sizes]
    return [tick for tick in ticks if low * 0.999 <= tick <= high * 1.001]
