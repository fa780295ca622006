"""Where the taps of MONAI's networks are, read from the instance, so that any depth, width and stride is right.

Each network is described as stages from shallow to deep: encoder module, decoder module of the same size (or none),
and by how much the image is downsampled there. Stages are then numbered by resolution.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from monai.networks import nets
from monai.networks.blocks import UnetBasicBlock, UnetrBasicBlock, UnetResBlock, UnetrUpBlock, UnetUpBlock
from monai.networks.nets.attentionunet import AttentionLayer, ConvBlock
from monai.networks.nets.basic_unet import UpCat
from monai.networks.nets.efficientnet import EfficientNetEncoder
from monai.networks.nets.resnet import ResNetBlock, ResNetBottleneck, ResNetEncoder
from torch import nn

__all__ = ["MONAI_ENDS", "MONAI_TAPS", "Stage", "number_stages"]


class Stage(NamedTuple):
    """The features of one level: module paths, and the downsampling along the most reduced axis."""

    encoder: str | None
    decoder: str | None
    downsampling: int


def number_stages(stages: Iterable[Stage]) -> dict[str, str]:
    """Name the modules of each stage ``enc<level>`` and ``dec<level>``; level = 1 + log2(downsampling).

    Of several stages at one resolution the deepest gives both taps, so that a pair is always one skip connection.

    Example:
        >>> number_stages([Stage("first", "last", 1), Stage("bottom", None, 2)])
        {'enc1': 'first', 'enc2': 'bottom', 'dec1': 'last'}
    """
    levels = {1 + round(math.log2(stage.downsampling)): stage for stage in stages}
    encoder = {f"enc{level}": stage.encoder for level, stage in levels.items() if stage.encoder}
    decoder = {f"dec{level}": stage.decoder for level, stage in reversed(levels.items()) if stage.decoder}
    return encoder | decoder


def _downsampling(strides: Iterable[int | Sequence[int]]) -> list[int]:
    """By how much the image is reduced after each of the ``strides``."""
    reached, totals = [1, 1, 1], []
    for stride in strides:
        steps = [stride] * 3 if isinstance(stride, int) else stride
        reached = [before * step for before, step in zip(reached, steps, strict=False)]
        totals.append(max(reached))
    return totals


def _unet(network: nets.UNet) -> list[Stage]:
    # each level is Sequential(down, SkipConnection(next level), up); the top level's up gives the logits
    stages, path = [], "model"
    downsampling = _downsampling(network.strides[: len(network.channels) - 1])
    for depth, reduced in enumerate(downsampling, start=1):
        below = f"{path}.1.submodule"
        stages.append(Stage(f"{path}.0", f"{below}.2" if depth < len(downsampling) else None, reduced))
        path = below
    return [*stages, Stage(path, None, downsampling[-1])]


def _basic_unet(network: nets.BasicUNet) -> list[Stage]:
    encoder = ["conv_0", "down_1", "down_2", "down_3", "down_4"]
    decoder = ["upcat_1", "upcat_2", "upcat_3", "upcat_4", None]
    return [Stage(enc, dec, 2**level) for level, (enc, dec) in enumerate(zip(encoder, decoder, strict=True))]


def _dynunet(network: nets.DynUNet) -> list[Stage]:
    depth = len(network.downsamples)
    encoder = ["input_block", *(f"downsamples.{index}" for index in range(depth)), "bottleneck"]
    decoder = [*(f"upsamples.{index}" for index in reversed(range(depth + 1))), None]
    return [Stage(*stage) for stage in zip(encoder, decoder, _downsampling(network.strides), strict=True)]


def _segresnet(network: nets.SegResNet) -> list[Stage]:
    last = len(network.down_layers) - 1
    return [
        Stage(f"down_layers.{level}", f"up_layers.{last - 1 - level}" if level < last else None, 2**level)
        for level in range(last + 1)
    ]


def _attention_unet(network: nets.AttentionUnet) -> list[Stage]:
    # each AttentionLayer holds all that is below it and gives the decoder features of its own level
    stages, encoder, decoder = [], "model.0", "model.1"
    downsampling = [1, *_downsampling(network.strides[: len(network.channels) - 1])]
    for reduced in downsampling[:-1]:
        stages.append(Stage(encoder, decoder, reduced))
        below = f"{decoder}.submodule"
        layer = network.get_submodule(below)
        has_more = isinstance(layer, nn.Sequential) and isinstance(layer[-1], AttentionLayer)
        encoder, decoder = (f"{below}.0", f"{below}.1") if has_more else (below, "")
    return [*stages, Stage(encoder, None, downsampling[-1])]


def _flexible_unet(network: nets.FlexibleUNet) -> list[Stage]:
    # the backbone starts with a stride, so that the first encoder features are enc2 and dec1 stands alone
    encoder: list[str | None] = [None] * len(network.decoder.blocks)
    if isinstance(network.encoder, EfficientNetEncoder):
        encoder = [f"encoder._blocks.{stack - 1}" for stack in network.encoder.extract_stacks if stack]
    elif isinstance(network.encoder, ResNetEncoder):
        # the first features are those after the first activation, a module that is used many times
        encoder = ["encoder.maxpool:in", *(f"encoder.layer{index}" for index in range(1, 5))]
    decoder = [*(f"decoder.blocks.{index}" for index in reversed(range(len(network.decoder.blocks)))), None]
    return [Stage(*stage, 2**level) for level, stage in enumerate(zip([None, *encoder], decoder, strict=True))]


def _swin_unetr(network: nets.SwinUNETR) -> list[Stage]:
    # at 1/16 the skip connection takes the transformer's third stage as it is, but for a normalisation
    encoder = ["encoder1", "encoder2", "encoder3", "encoder4", "swinViT.layers3.0", "encoder10"]
    decoder = ["decoder1", "decoder2", "decoder3", "decoder4", "decoder5", None]
    return [Stage(enc, dec, 2**level) for level, (enc, dec) in enumerate(zip(encoder, decoder, strict=True))]


def _unetr(network: nets.UNETR) -> list[Stage]:
    # the transformer's tokens become an image only on their way into the deepest decoder block
    encoder = ["encoder1", "encoder2", "encoder3", "encoder4", "decoder5:in"]
    decoder = ["decoder2", "decoder3", "decoder4", "decoder5", None]
    return [Stage(enc, dec, 2**level) for level, (enc, dec) in enumerate(zip(encoder, decoder, strict=True))]


def _mednext(network: nets.MedNeXt) -> list[Stage]:
    depth = len(network.enc_stages)
    stages = [Stage(f"enc_stages.{level}", f"dec_stages.{depth - 1 - level}", 2**level) for level in range(depth)]
    return [*stages, Stage("bottleneck", None, 2**depth)]


MONAI_TAPS: dict[type[nn.Module], Callable[[Any], list[Stage]]] = {
    nets.UNet: _unet,
    nets.BasicUNet: _basic_unet,
    nets.DynUNet: _dynunet,
    nets.SegResNet: _segresnet,
    nets.AttentionUnet: _attention_unet,
    nets.FlexibleUNet: _flexible_unet,
    nets.SwinUNETR: _swin_unetr,
    nets.UNETR: _unetr,
    nets.MedNeXt: _mednext,
}

MONAI_ENDS: dict[type[nn.Module], str] = {
    AttentionLayer: "merge",
    ConvBlock: "conv",
    ResNetBlock: "act",
    ResNetBottleneck: "act",
    UnetBasicBlock: "lrelu",
    UnetResBlock: "lrelu",
    UnetUpBlock: "conv_block",
    UnetrBasicBlock: "layer",
    UnetrUpBlock: "conv_block",
    UpCat: "convs",
}
"""Which child gives the output of a block that is no ``nn.Sequential``; blocks that end on a sum are not listed."""
