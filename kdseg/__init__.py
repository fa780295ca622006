"""Small segmentation networks for medical images, distilled from large ones.

Importing this package imports nothing else: its rooms (``kdseg.networks``, ``kdseg.losses``, ``kdseg.distill``, …) are
loaded when they are first named, so that a bundle's configuration needs ``import kdseg`` alone.
"""

from __future__ import annotations

import importlib
from typing import Any

from kdseg._version import __version__

__all__ = ["__version__"]

_ROOMS = (
    "configuration",
    "data",
    "deploy",
    "distill",
    "engines",
    "errors",
    "experiments",
    "handlers",
    "losses",
    "metrics",
    "networks",
    "settings",
    "transforms",
)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"kdseg.{name}")
    if name == "register_layout":
        return importlib.import_module("kdseg.data.layouts.registry").register_layout
    raise AttributeError(f"module 'kdseg' has no attribute {name!r}")
