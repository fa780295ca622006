"""Teachers and students that MONAI lacks, and where the taps of any network are."""

from kdseg.networks.separable_unet import SeparableUNet
from kdseg.networks.taps import find_taps
from kdseg.networks.thin_unet import ThinUNet
from kdseg.networks.tiny_unet import TinyUNet

__all__ = ["SeparableUNet", "ThinUNet", "TinyUNet", "find_taps"]
