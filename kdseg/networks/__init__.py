"""Teachers and students that MONAI lacks, and where the taps of any network are."""

from kdseg.networks.count import count_conv_parameters, count_macs, count_parameters
from kdseg.networks.enet import ENet
from kdseg.networks.erfnet import ERFNet
from kdseg.networks.fanet import FANet
from kdseg.networks.folded_unet import FoldedUNet
from kdseg.networks.mobile_unet import MobileUNet
from kdseg.networks.projected_enet import ProjectedENet
from kdseg.networks.registry import NETWORKS, NetworkEntry, build_network, register_network
from kdseg.networks.taps import find_taps
from kdseg.networks.unet import SeparableUNet, ThinUNet, UNet

__all__ = [
    "NETWORKS",
    "ENet",
    "ERFNet",
    "FANet",
    "FoldedUNet",
    "MobileUNet",
    "NetworkEntry",
    "ProjectedENet",
    "SeparableUNet",
    "ThinUNet",
    "UNet",
    "build_network",
    "count_conv_parameters",
    "count_macs",
    "count_parameters",
    "find_taps",
    "register_network",
]
