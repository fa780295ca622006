"""The task: what a network is fed and what its output means; saved beside the weights."""

from __future__ import annotations

import importlib
from typing import Any

# name -> module; loaded when first used, because the transforms bring MONAI and torch with them
_EXPORTS = {
    "HISTORY_FILE": "folder_files",
    "TASK_FILE": "task",
    "Task": "task",
    "TrainedFolder": "folder",
    "bundle_metadata": "monai_only",
    "image_reader": "transforms",
    "image_transforms": "transforms",
    "inference_config": "monai_only",
    "inferer": "inference",
    "is_trained": "folder",
    "load_task": "task",
    "memory_format": "inference",
    "network": "inference",
    "open_trained": "folder",
    "postprocessing": "transforms",
    "prediction_transforms": "transforms",
    "read_history": "folder_files",
    "read_task": "task",
    "traced": "folder",
    "training_transforms": "transforms",
    "validation_transforms": "transforms",
    "write_for_monai": "folder",
    "write_json": "folder_files",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
    globals()[name] = value
    return value
