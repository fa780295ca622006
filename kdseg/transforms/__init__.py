"""Transforms that MONAI lacks."""

from kdseg.transforms.histogram import ContrastLimitedHistogramEqualisation, ContrastLimitedHistogramEqualisationd
from kdseg.transforms.load_label import LoadLabeld
from kdseg.transforms.save_mask import SaveMaskd
from kdseg.transforms.unlabelled import UnlabelledAsIgnoredd

__all__ = [
    "ContrastLimitedHistogramEqualisation",
    "ContrastLimitedHistogramEqualisationd",
    "LoadLabeld",
    "SaveMaskd",
    "UnlabelledAsIgnoredd",
]
