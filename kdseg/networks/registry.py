"""Networks by name: ours, and MONAI's with settings that suit a first try."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from monai.networks import nets
from torch import nn

from kdseg.errors import UserError, suggestion
from kdseg.networks.enet import ENet
from kdseg.networks.erfnet import ERFNet
from kdseg.networks.fanet import FANet
from kdseg.networks.folded_unet import FoldedUNet
from kdseg.networks.mobile_unet import MobileUNet
from kdseg.networks.projected_enet import ProjectedENet
from kdseg.networks.unet import SeparableUNet, ThinUNet, UNet
from kdseg.plugins import Registry

__all__ = ["NETWORKS", "NetworkEntry", "build_network", "register_network"]

Kind = TypeVar("Kind", bound=type[nn.Module])


@dataclass(frozen=True)
class NetworkEntry:
    """A network that can be built by name.

    Args:
        constructor: its class.
        standing: where it comes from: ``code`` (as in the authors' code), ``reconstruction``, ``monai``, or ``own``
            (ours, or a user's).
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

_OWN = {
    "unet": NetworkEntry(UNet, "code"),
    "thin_unet": NetworkEntry(ThinUNet, "reconstruction"),
    "separable_unet": NetworkEntry(SeparableUNet, "reconstruction"),
    "folded_unet": NetworkEntry(FoldedUNet, "own"),
    "fanet": NetworkEntry(FANet, "code", spatial_dims=(2,), published_channels=(1, 2)),
    "mobile_unet": NetworkEntry(MobileUNet, "code", spatial_dims=(2,), published_channels=(1, 2)),
    "enet": NetworkEntry(ENet, "code", published_channels=(1, 2)),
    "projected_enet": NetworkEntry(ProjectedENet, "code", published_channels=(3, 2)),
    "erfnet": NetworkEntry(ERFNet, "code", spatial_dims=(2,), published_channels=(1, 2)),
    "monai_unet": NetworkEntry(nets.UNet, "monai", {**_FOUR_HALVINGS, "num_res_units": 2}),
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


def _read(value: object) -> NetworkEntry:
    if isinstance(value, NetworkEntry):
        return value
    if isinstance(value, type) and issubclass(value, nn.Module):
        return NetworkEntry(value, "own")
    fix = "give a subclass of torch.nn.Module, or a NetworkEntry with one"
    raise UserError("network", found=repr(value), expected="a class of networks", fix=fix)


NETWORKS: Registry[NetworkEntry] = Registry("network", "kdseg.networks", _OWN, _read)
"""The networks by name; see :class:`kdseg.plugins.Registry`."""


def register_network(name: str) -> Callable[[Kind], Kind]:
    """Decorate a network, so that ``build_network``, configurations and the command line know it by name.

    Its constructor takes ``in_channels`` and ``out_channels``, and ``spatial_dims`` where it matters.

    Raises:
        UserError: for a name that is taken, and anything that is no class of networks.
    """

    def register(kind: Kind) -> Kind:
        NETWORKS.register(name, kind)
        return kind

    return register


def build_network(
    name: str, spatial_dims: int = 2, in_channels: int = 1, out_channels: int = 1, **settings: Any
) -> nn.Module:
    """Build a network by its name, with fresh weights.

    Args:
        name: a key of ``NETWORKS``, or the dotted path of a class: ``monai.networks.nets.BasicUNet``.
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: channels of the logits: 1 or more for a sigmoid head, the number of classes for a softmax head.
        settings: further arguments of the network's constructor, before the defaults of ``NETWORKS``. It is given
            dimensions and channels if it has arguments of these names.

    Raises:
        UserError: for an unknown name or setting (the near one is told), a path that cannot be imported or is no
            network, a missing setting, a number of dimensions that the network does not have, and a package that MONAI
            needs for it and is not installed.

    Example:
        >>> type(build_network("thin_unet", spatial_dims=3)).__name__
        'ThinUNet'
        >>> type(build_network("monai.networks.nets.BasicUNet", features=(8, 8, 8, 8, 8, 8))).__name__
        'BasicUNet'
    """
    entry = _import(name) if "." in name else NETWORKS.find(name)
    where, constructor = f"network '{name}'", entry.constructor
    signature = inspect.signature(constructor)
    known = signature.parameters
    if spatial_dims not in entry.spatial_dims:
        others = [other for other, its in NETWORKS.items() if spatial_dims in its.spatial_dims]
        raise UserError(
            where,
            found=f"spatial_dims {spatial_dims}",
            expected=" or ".join(str(dims) for dims in entry.spatial_dims),
            fix=f"choose one of {', '.join(others)}" if others else "set spatial_dims to 2 or 3",
        )
    if entry.needs and importlib.util.find_spec(entry.needs) is None:
        raise UserError(
            where,
            found=f"no package '{entry.needs}'",
            expected="it to be installed, since MONAI's network needs it",
            fix=f"pip install {entry.needs}",
        )
    shape = {"spatial_dims": spatial_dims, "in_channels": in_channels, "out_channels": out_channels}
    arguments = {**entry.settings, **{key: value for key, value in shape.items() if key in known}, **settings}
    try:
        signature.bind(**arguments)
    except TypeError as error:
        unknown = [setting for setting in settings if setting not in known]
        fix = suggestion(unknown[0], known) if unknown else "add it to the settings"
        raise UserError(where, found=str(error), expected=f"arguments of {constructor.__name__}", fix=fix) from error
    return constructor(**arguments)


def _import(path: str) -> NetworkEntry:
    """A class by its dotted path. Nothing else is called: the path may come from somebody else's file."""
    module, _, name = path.rpartition(".")
    try:
        return _read(getattr(importlib.import_module(module), name))
    except Exception as error:
        reason = f"{error.found}, no network" if isinstance(error, UserError) else str(error)
        expected = "the dotted path of a network that can be imported, such as monai.networks.nets.BasicUNet"
        fix = f"install the package that has it, or use a name of kdseg networks: {', '.join(NETWORKS)}"
        raise UserError(f"network '{path}'", found=reason, expected=expected, fix=fix) from error
