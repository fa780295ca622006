"""Small segmentation networks for medical images, distilled from large ones.

Importing this package imports nothing else: its rooms (``kdseg.networks``, ``kdseg.losses``, ``kdseg.distill``, …) are
loaded when they are first named, so that a bundle's configuration needs ``import kdseg`` alone.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from kdseg._version import __version__

__all__ = ["__version__"]

_ROOMS = (
    "benchmark",
    "compare",
    "configuration",
    "data",
    "deploy",
    "distill",
    "engines",
    "errors",
    "handlers",
    "inferers",
    "losses",
    "metrics",
    "networks",
    "phantom",
    "pictures",
    "report",
    "settings",
    "statistics",
    "task",
    "transforms",
)


def __getattr__(name: str) -> ModuleType:
    if name in _ROOMS:
        return importlib.import_module(f"kdseg.{name}")
    raise AttributeError(f"module 'kdseg' has no attribute {name!r}")
