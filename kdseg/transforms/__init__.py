"""Transforms that MONAI lacks."""

from kdseg.transforms.histogram import ContrastLimitedHistogramEqualisation, ContrastLimitedHistogramEqualisationd
from kdseg.transforms.save_mask import SaveMaskd
from kdseg.transforms.unlabelled import UnlabelledAsIgnoredd

__all__ = [
    "ContrastLimitedHistogramEqualisation",
    "ContrastLimitedHistogramEqualisationd",
    "SaveMaskd",
    "UnlabelledAsIgnoredd",
]
