"""Which module of a network gives which tap: the network's own word, else the table for MONAI's networks."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from kdseg.networks.monai_taps import MONAI_ENDS, MONAI_TAPS, number_stages

__all__ = ["before_activation", "find_taps"]

_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish)


def find_taps(network: nn.Module) -> dict[str, str]:
    """The taps of a network: semantic name to module path.

    Names are ``enc1…encN`` and ``dec1…``: the number tells the resolution, ``enc3`` and ``dec3`` having a quarter of
    the image's size, also where a network has no features at full size and its first tap is ``enc2``. ``encN`` is the
    bottleneck, ``up1…`` what the decoder joins to ``enc1…``. A tap is what the network hands on, after the activation;
    for what comes before it see :func:`before_activation`. The network's output, the tap ``logits``, needs no path and
    is not listed. A path is one that ``network.get_submodule`` takes; with ``:in`` at its end the tap is the module's
    first input, not its output.

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


def before_activation(network: nn.Module, path: str) -> str:
    """The path of the features at ``path`` before the activation that makes them; ``path`` itself where there is none.

    Seen are the activations at the end of an ``nn.Sequential``, of MONAI's blocks, and of a block that names its last
    module in an attribute ``ends_on``.

    Example:
        >>> before_activation(nn.Sequential(nn.Sequential(nn.BatchNorm2d(1), nn.ReLU())), "0")
        '0.1:in'
    """
    if path.endswith(":in"):
        return path
    module = network.get_submodule(path)
    if isinstance(module, _ACTIVATIONS):
        return f"{path}:in"
    end = getattr(module, "ends_on", None) or MONAI_ENDS.get(type(module))
    if end is None and isinstance(module, nn.Sequential) and len(module):
        end = list(module._modules)[-1]
    if end is None:
        return path
    before = before_activation(network, f"{path}.{end}")
    return before if before.endswith(":in") else path
