from .arrays import corrected_bias_field as corrected_bias_field
from .arrays import equalised as equalised
from .bias_field import N4BiasFieldCorrectiond as N4BiasFieldCorrectiond
from .class_channels import ClassChannelsd as ClassChannelsd
from .class_channels import class_numbers_of as class_numbers_of
from .histogram import (
    ContrastLimitedHistogramEqualisation as ContrastLimitedHistogramEqualisation,
)
from .histogram import (
    ContrastLimitedHistogramEqualisationd as ContrastLimitedHistogramEqualisationd,
)
from .load_label import LoadLabeld as LoadLabeld
from .load_soft_labels import LoadSoftLabeld as LoadSoftLabeld
from .save_mask import SaveMaskd as SaveMaskd
from .slices import NeighbourSlicesd as NeighbourSlicesd
from .slices import RandSliced as RandSliced
from .slices import neighbour_slices as neighbour_slices
from .unlabelled import UnlabelledAsIgnoredd as UnlabelledAsIgnoredd
