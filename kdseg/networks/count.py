"""How large a network is and how much it computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd
from torch.utils.flop_counter import FlopCounterMode

__all__ = ["count_conv_parameters", "count_macs", "count_parameters"]


def count_parameters(network: nn.Module) -> int:
    """Parameters of the network, frozen ones included, each counted once.

    Example:
        >>> count_parameters(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)))
        24
    """
    return sum(parameter.numel() for parameter in network.parameters())


def count_conv_parameters(network: nn.Module) -> int:
    """Parameters of the convolutions alone, biases included: what the published size of FANet counts.

    Example:
        >>> count_conv_parameters(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)))
        20
    """
    layers = [module for module in network.modules() if isinstance(module, _ConvNd)]
    return count_parameters(nn.ModuleList(layers))


def count_macs(network: nn.Module, input_shape: Sequence[int]) -> int:
    """Multiply-accumulate operations of one forward pass: convolutions and matrix products, nothing else.

    Transposed convolutions are counted at the resolution of their output, as in the published 171.6 GMAC of FANet; what
    they really compute is stride² (stride³ in 3-D) times less. Nothing is computed: shapes alone go through the
    network, so that large inputs cost neither time nor memory.

    Args:
        network: any network; its weights and its mode stay as they are.
        input_shape: shape of the input, ``BNHW[D]``.

    Example:
        >>> count_macs(nn.Conv2d(1, 2, 3, padding=1), (1, 1, 8, 8))
        1152
    """
    meta = {name: tensor.to("meta") for name, tensor in [*network.named_parameters(), *network.named_buffers()]}
    training = {module: module.training for module in network.modules()}
    network.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=_CONVOLUTION) as counter:
            torch.func.functional_call(network, meta, (torch.zeros(*input_shape, device="meta"),))
    finally:
        for module, mode in training.items():
            module.training = mode
    return counter.get_total_flops() // 2


def _convolution_flops(
    image: Sequence[int], weight: Sequence[int], *_: Any, out_shape: Sequence[int], **__: Any
) -> int:
    # every weight is used once for each position of the output
    return 2 * image[0] * math.prod(out_shape[2:]) * math.prod(weight)


_CONVOLUTION = {torch.ops.aten.convolution: _convolution_flops}
