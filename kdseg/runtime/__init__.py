"""Exports where torch is not needed: read, checked and run with NumPy and ONNX Runtime or OpenVINO alone."""

from __future__ import annotations

import importlib
from typing import Any

# name -> module; loaded when first used
_EXPORTS = {
    "EXPORT_FILE": "exports",
    "Export": "exports",
    "RUNTIMES": "sessions",
    "RuntimeStudent": "student",
    "Session": "sessions",
    "is_export": "exports",
    "open_session": "sessions",
    "open_student": "student",
    "read_export": "exports",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
