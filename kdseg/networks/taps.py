"""Which module of a network gives which tap: the network's own word, else the table for MONAI's networks."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from kdseg.networks.monai_taps import MONAI_TAPS, number_stages

__all__ = ["find_taps"]


def find_taps(network: nn.Module) -> dict[str, str]:
    """The taps of a network: semantic name to module path.

    Names are ``enc1…encN`` and ``dec1…``: the number tells the resolution, ``enc3`` and ``dec3`` having a quarter of
    the image's size, also where a network has no features at full size and its first tap is ``enc2``. ``encN`` is the
    bottleneck. The network's output, the tap ``logits``, needs no path and is not listed. A path is one that
    ``network.get_submodule`` takes; with ``:in`` at its end the tap is the module's first input, not its output.

    A network says where its taps are with an attribute or property ``taps``; MONAI's UNet, BasicUNet, DynUNet,
    SegResNet, AttentionUnet, FlexibleUNet, SwinUNETR, UNETR and MedNeXt are known, whatever their depth. For any other
    network, or a subclass that has moved its modules, the answer is empty and the user writes the paths.

    Args:
        network: the network itself, not one wrapped for compilation or for several devices.

    Example:
        >>> from monai.networks.nets import UNet
        >>> find_taps(UNet(2, 1, 1, channels=(8, 16, 32), strides=(2, 2)))
        {'enc2': 'model.0', 'enc3': 'model.1.submodule.1.submodule', 'dec2': 'model.1.submodule.2'}
    """
    own = getattr(network, "taps", None)
    if isinstance(own, Mapping):
        return dict(own)
    for kind, describe in MONAI_TAPS.items():
        if isinstance(network, kind):
            taps = number_stages(describe(network))
            return taps if all(_exists(network, path) for path in taps.values()) else {}
    return {}


def _exists(network: nn.Module, path: str) -> bool:
    try:
        network.get_submodule(path.removesuffix(":in"))
    except AttributeError:
        return False
    return True
