"""Masks as files: PNG, NIfTI, DICOM SEG, RTSTRUCT and pictures of them. Arrays in, files out; no torch, no MONAI."""

from kdseg.masks.mark import is_marked, read_mark
from kdseg.masks.mask import Maker, Mask, mask_of
from kdseg.masks.names import OutputNames
from kdseg.masks.save import DICOM_FORMATS, check_formats, save_mask

__all__ = [
    "DICOM_FORMATS",
    "Maker",
    "Mask",
    "OutputNames",
    "check_formats",
    "is_marked",
    "mask_of",
    "read_mark",
    "save_mask",
]
