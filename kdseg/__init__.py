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
    "masks",
    "metrics",
    "networks",
    "phantom",
    "pictures",
    "report",
    "runtime",
    "settings",
    "statistics",
    "task",
    "transforms",
)


# name -> room; what programs use most
_NAMES = {
    "Student": "deploy",
    "Task": "task",
    "Workflow": "configuration",
    "load": "deploy",
    "register_layout": "data.layouts.registry",
    "register_loss": "distill",
    "register_method": "distill",
    "register_network": "networks",
}


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"kdseg.{name}")
    if name in _NAMES:
        return getattr(importlib.import_module(f"kdseg.{_NAMES[name]}"), name)
    raise AttributeError(f"module 'kdseg' has no attribute {name!r}")
