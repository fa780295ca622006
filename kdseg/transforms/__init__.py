"""Transforms that MONAI lacks."""

from __future__ import annotations

import importlib
from typing import Any

# name -> module; loaded when first used, because most bring MONAI and torch with them
_EXPORTS = {
    "ClassChannelsd": "class_channels",
    "ContrastLimitedHistogramEqualisation": "histogram",
    "ContrastLimitedHistogramEqualisationd": "histogram",
    "LoadLabeld": "load_label",
    "LoadSoftLabeld": "load_soft_labels",
    "N4BiasFieldCorrectiond": "bias_field",
    "NeighbourSlicesd": "slices",
    "RandSliced": "slices",
    "SaveMaskd": "save_mask",
    "UnlabelledAsIgnoredd": "unlabelled",
    "class_numbers_of": "class_channels",
    "corrected_bias_field": "arrays",
    "equalised": "arrays",
    "neighbour_slices": "slices",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
