"""Networks by name: ours, and MONAI's with settings that suit a first try."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from monai.networks import nets
from torch import nn

from kdseg.errors import UserError, suggestion
from kdseg.networks.enet import ENet
from kdseg.networks.erfnet import ERFNet
from kdseg.networks.fanet import FANet
from kdseg.networks.mobile_unet import MobileUNet
from kdseg.networks.projected_enet import ProjectedENet
from kdseg.networks.separable_unet import SeparableUNet
from kdseg.networks.thin_unet import ThinUNet
from kdseg.networks.tiny_unet import TinyUNet

__all__ = ["NETWORKS", "NetworkEntry", "build_network"]


@dataclass(frozen=True)
class NetworkEntry:
    """A network that can be built by name.

    Args:
        constructor: its class.
        standing: where it comes from: ``code`` (as in the authors' code), ``reconstruction``, or ``monai``.
        settings: what the constructor is given besides channels and dimensions.
        spatial_dims: the numbers of spatial dimensions that it has.
        published_channels: channels in and out at which its size is published; ``kdseg networks`` lists it with these.
        needs: a package that MONAI imports only when the network runs.
    """

    constructor: type[nn.Module]
    standing: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    spatial_dims: tuple[int, ...] = (2, 3)
    published_channels: tuple[int, int] = (1, 1)
    needs: str | None = None


_FOUR_HALVINGS = {"channels": (32, 64, 128, 256, 512), "strides": (2, 2, 2, 2)}

NETWORKS: dict[str, NetworkEntry] = {
    "tiny_unet_teacher": NetworkEntry(TinyUNet, "code"),
    "tiny_unet_student": NetworkEntry(ThinUNet, "reconstruction"),
    "tiny_unet_separable": NetworkEntry(SeparableUNet, "reconstruction"),
    "fanet": NetworkEntry(FANet, "code", spatial_dims=(2,), published_channels=(1, 2)),
    "mobile_unet": NetworkEntry(MobileUNet, "code", spatial_dims=(2,), published_channels=(1, 2)),
    "enet": NetworkEntry(ENet, "code", published_channels=(1, 2)),
    "enet_projected": NetworkEntry(ProjectedENet, "code", published_channels=(3, 2)),
    "erfnet": NetworkEntry(ERFNet, "code", spatial_dims=(2,), published_channels=(1, 2)),
    "unet": NetworkEntry(nets.UNet, "monai", {**_FOUR_HALVINGS, "num_res_units": 2}),
    "basic_unet": NetworkEntry(nets.BasicUNet, "monai"),
    "dynunet": NetworkEntry(
        nets.DynUNet,
        "monai",
        {"kernel_size": (3,) * 5, "strides": (1, 2, 2, 2, 2), "upsample_kernel_size": (2,) * 4},
    ),
    "segresnet": NetworkEntry(nets.SegResNet, "monai", {"init_filters": 16}),
    "attention_unet": NetworkEntry(nets.AttentionUnet, "monai", _FOUR_HALVINGS),
    "flexible_unet": NetworkEntry(nets.FlexibleUNet, "monai", {"backbone": "efficientnet-b0"}),
    "swin_unetr": NetworkEntry(nets.SwinUNETR, "monai", needs="einops"),
    "unetr": NetworkEntry(nets.UNETR, "monai", {"img_size": 256}, needs="einops"),
    "mednext": NetworkEntry(nets.MedNeXt, "monai", {"kernel_size": 3, "use_residual_connection": True}),
}


def build_network(
    name: str, spatial_dims: int = 2, in_channels: int = 1, out_channels: int = 1, **settings: Any
) -> nn.Module:
    """Build a network by its name, with fresh weights.

    Args:
        name: a key of ``NETWORKS``.
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: channels of the logits: 1 or more for a sigmoid head, the number of classes for a softmax head.
        settings: further arguments of the network's constructor, before the defaults of ``NETWORKS``.

    Raises:
        UserError: for an unknown name or setting (the near one is told), a number of dimensions that the network does
            not have, and a package that MONAI needs for it and is not installed.

    Example:
        >>> type(build_network("tiny_unet_student", spatial_dims=3)).__name__
        'ThinUNet'
        >>> build_network("fannet")
        Traceback (most recent call last):
        kdseg.errors.UserError: network: found 'fannet'; expected the name of a network. To mend it: did you mean \
'fanet'?
    """
    if name not in NETWORKS:
        raise UserError("network", found=f"'{name}'", expected="the name of a network", fix=suggestion(name, NETWORKS))
    entry = NETWORKS[name]
    if spatial_dims not in entry.spatial_dims:
        others = [other for other, its in NETWORKS.items() if spatial_dims in its.spatial_dims]
        raise UserError(
            f"network '{name}'",
            found=f"spatial_dims {spatial_dims}",
            expected=" or ".join(str(dims) for dims in entry.spatial_dims),
            fix=f"choose one of {', '.join(others)}" if others else "set spatial_dims to 2 or 3",
        )
    known = inspect.signature(entry.constructor).parameters
    for setting in settings:
        if setting not in known:
            raise UserError(
                f"network '{name}'",
                found=f"the setting '{setting}'",
                expected=f"an argument of {entry.constructor.__name__}",
                fix=suggestion(setting, known),
            )
    if entry.needs and importlib.util.find_spec(entry.needs) is None:
        raise UserError(
            f"network '{name}'",
            found=f"no package '{entry.needs}'",
            expected="it to be installed, since MONAI's network needs it",
            fix=f"pip install {entry.needs}",
        )
    arguments = {**entry.settings, "in_channels": in_channels, "out_channels": out_channels, **settings}
    if "spatial_dims" in known:
        arguments["spatial_dims"] = spatial_dims
    return entry.constructor(**arguments)
