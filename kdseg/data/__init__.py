"""Readers of images and masks, data lists and folds, and the preparation and checking of data sets."""

from __future__ import annotations

import importlib
import logging
from typing import Any

# name -> module; loaded when first used, because the readers bring MONAI and torch with them
_EXPORTS = {
    "LabelledUnlabelledSampler": "lists.semi_supervised",
    "MaskReader": "frames.mask_reader",
    "PictureReader": "frames.picture_reader",
    "VolumeReader": "volumes.reader",
    "cached_dataset": "lists.cache",
    "choose_series": "formats.dicom.choice",
    "content_hash": "open",
    "dicom_series": "formats.dicom.studies",
    "dicom_studies": "formats.dicom.studies",
    "find_images": "lists.inputs",
    "find_volume_files": "lists.inputs",
    "label_numbers": "lists.classes",
    "label_structures": "lists.classes",
    "labelled_subset": "lists.semi_supervised",
    "load_datalist": "lists.datalist",
    "read_label": "volumes.labels",
    "save_datalist": "lists.datalist",
    "semi_supervised_records": "lists.semi_supervised",
    "split_by_patient": "lists.datalist",
}

__all__ = list(_EXPORTS)

# pydicom logs what it warns of, with the header's values, and those may name a patient; its level is set when it loads.
# tifffile logs each damaged tag beside the error that it raises
for _name in ("pydicom", "tifffile"):
    logging.getLogger(_name).addFilter(lambda record: False)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_EXPORTS[name]}"), name)
