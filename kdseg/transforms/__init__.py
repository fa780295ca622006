"""Transforms that MONAI lacks."""

from kdseg.transforms.bias_field import N4BiasFieldCorrectiond
from kdseg.transforms.class_channels import ClassChannelsd, class_numbers_of
from kdseg.transforms.histogram import ContrastLimitedHistogramEqualisation, ContrastLimitedHistogramEqualisationd
from kdseg.transforms.load_label import LoadLabeld
from kdseg.transforms.save_mask import SaveMaskd, mask_of
from kdseg.transforms.slices import NeighbourSlicesd, RandSliced, neighbour_slices
from kdseg.transforms.unlabelled import UnlabelledAsIgnoredd

__all__ = [
    "ClassChannelsd",
    "ContrastLimitedHistogramEqualisation",
    "ContrastLimitedHistogramEqualisationd",
    "LoadLabeld",
    "N4BiasFieldCorrectiond",
    "NeighbourSlicesd",
    "RandSliced",
    "SaveMaskd",
    "UnlabelledAsIgnoredd",
    "class_numbers_of",
    "mask_of",
    "neighbour_slices",
]
