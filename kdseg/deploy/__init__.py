"""From a trained network's folder to masks: loaded, measured, used on files and in programs."""

from __future__ import annotations

import importlib
from typing import Any

# name -> module; loaded when first used, because exports are used without torch
_EXPORTS = {
    "Prediction": "predict",
    "Student": "student",
    "evaluate": "evaluation",
    "evaluation_data": "evaluation",
    "forwards": "latency",
    "interleaved_milliseconds": "latency",
    "load": "loading",
    "milliseconds_per_image": "latency",
    "open_folder": "model_network",
    "predict_files": "predict",
    "run_evaluation": "evaluation",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
