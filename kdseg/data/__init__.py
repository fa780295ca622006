"""Readers of images and masks, data lists and folds, and the preparation and checking of data sets."""

from __future__ import annotations

import importlib
import logging
from typing import Any

# name -> module; loaded when first used, because the readers bring MONAI and torch with them
_EXPORTS = {
    "AngiogramReader": "angiogram_reader",
    "MaskReader": "angiogram_reader",
    "PathologyMaskReader": "pathology_reader",
    "PathologyReader": "pathology_reader",
    "cached_dataset": "cache",
    "check_cases": "check",
    "choose_series": "dicom.choice",
    "dicom_series": "dicom.studies",
    "dicom_studies": "dicom.studies",
    "DicomSeriesReader": "dicom.reader",
    "content_hash": "files",
    "LabelledUnlabelledSampler": "semi_supervised",
    "TolerantDataset": "folder",
    "find_images": "folder",
    "find_volume_files": "volumes.folder",
    "label_numbers": "volumes.classes",
    "label_structures": "volumes.classes",
    "labelled_subset": "semi_supervised",
    "list_setting": "datalist",
    "load_datalist": "datalist",
    "read_label": "labels",
    "save_datalist": "datalist",
    "semi_supervised_records": "semi_supervised",
    "split_by_patient": "datalist",
}

__all__ = list(_EXPORTS)

# pydicom logs what it warns of, with the header's values, and those may name a patient; its level is set when it loads
logging.getLogger("pydicom").addFilter(lambda record: False)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
