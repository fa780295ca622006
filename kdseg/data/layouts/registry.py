"""The layouts that ``kdseg prepare`` knows by name: kdseg's own, and those of plug-ins."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kdseg.data.layouts.generic import find_generic
from kdseg.data.layouts.layout import Found, Layout, Search
from kdseg.data.layouts.prostate import PROSTATE_LABELS, PROTOCOLS, find_prostate
from kdseg.data.layouts.synapse import find_synapse, published_split
from kdseg.data.lists.datalist import Record
from kdseg.plugins import Registry

__all__ = ["LAYOUTS", "register_layout"]


def _layout(value: object) -> Layout:
    if isinstance(value, Layout):
        return value
    if callable(value):
        return Layout(value)
    raise TypeError("a layout is a kdseg.data.Layout, or a function from Search to Found")


LAYOUTS: Registry[Layout] = Registry(
    "layout",
    "kdseg.layouts",
    {
        "generic": Layout(find_generic),
        "synapse": Layout(find_synapse, protocols={"published": published_split}),
        "prostate": Layout(find_prostate, PROSTATE_LABELS, PROTOCOLS),
    },
    _layout,
)
"""Name → layout."""


def register_layout(
    name: str,
    labels: Mapping[str, str] | None = None,
    protocols: Mapping[str, Callable[[list[Record]], list[Record]]] | None = None,
) -> Callable[[Callable[[Search], Found]], Callable[[Search], Found]]:
    """Register a function as a layout; see :class:`kdseg.data.layouts.layout.Layout` for the arguments.

    Example:
        >>> @register_layout("flat")
        ... def find_flat(search: Search) -> Found:
        ...     pairs = [(path, path.with_suffix(".gif")) for path in search.source.glob("*.png")]
        ...     return Found([{"image": str(image), "label": str(mask), "case": image.stem} for image, mask in pairs])
        >>> "flat" in LAYOUTS
        True
    """

    def register(find: Callable[[Search], Found]) -> Callable[[Search], Found]:
        LAYOUTS.register(name, Layout(find, labels, protocols or {}))
        return find

    return register
