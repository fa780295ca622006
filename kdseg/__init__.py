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


# how a user's own losses, methods and networks get names, see docs/plugins.md
_REGISTER = {"register_loss": "distill", "register_method": "distill", "register_network": "networks"}


def __getattr__(name: str) -> Any:
    if name in _REGISTER:
        return getattr(importlib.import_module(f"kdseg.{_REGISTER[name]}"), name)
    if name in _ROOMS:
        return importlib.import_module(f"kdseg.{name}")
    raise AttributeError(f"module 'kdseg' has no attribute {name!r}")
