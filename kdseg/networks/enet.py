"""ENet, a student of Graph Flow: bottlenecks, and unpooling to the remembered maxima."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from monai.networks.layers.factories import Conv, Dropout, Norm, Pool
from torch import nn

from kdseg.networks.shapes import check_divisible

__all__ = ["ENet", "InitialBlock", "unpool"]


class ENetLayout(nn.Module):
    """Stages, taps and forward of the two ENets, whose blocks differ."""

    initial: nn.Module
    down1: nn.Module
    stage1: nn.Module
    down2: nn.Module
    stage2: nn.Module
    up4: nn.Module
    stage4: nn.Module
    up5: nn.Module
    stage5: nn.Module
    head: nn.Module

    @property
    def taps(self) -> dict[str, str]:
        """Semantic name of each tap to the path of its module; 1 would be full resolution."""
        return {"enc2": "initial", "enc3": "stage1", "enc4": "stage2", "dec3": "stage4", "dec2": "stage5"}

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        check_divisible(self, image, 8)
        features, maxima1 = self.down1(self.initial(image))
        features, maxima2 = self.down2(self.stage1(features))
        features = self.up4(self.stage2(features), maxima2)
        features = self.up5(self.stage4(features), maxima1)
        return self.head(self.stage5(features))


class ENet(ENetLayout):
    """Efficient neural network, 0.349 M parameters (348,996 for 1 channel in, 2 out, in 2-D).

    Taps: ``enc2`` (16 channels), ``enc3`` (64), ``enc4`` (128) and ``dec3`` (64), ``dec2`` (16) are what each size ends
    with; ``enc3`` and ``dec3``, the ends of stages 1 and 4, are Graph Flow's.

    Source: arXiv 1606.02147, at the size that Graph Flow publishes: downsampling bottlenecks are a quarter of their
    input's channels wide, and zeros fill the channels that their pooled shortcut lacks (the 353,761 parameters of other
    papers are ``ProjectedENet``). In 3-D, a reconstruction, 5×1 and 1×5 become three convolutions.

    The unpooling is written with plain tensor operations, equal to ``MaxUnpool2d`` and ``MaxUnpool3d``: it compiles,
    exports to ONNX, and is deterministic on a GPU.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image, fewer than 16.
        out_channels: channels of the logits.

    Shape:
        ``BNHW[D]`` with sizes that are multiples of 8, to ``BKHW[D]``.

    Raises:
        UserError: for an image whose sizes are not multiples of 8.

    Example:
        >>> sum(parameter.numel() for parameter in ENet(in_channels=1, out_channels=2).parameters())
        348996
    """

    def __init__(self, spatial_dims: int = 2, in_channels: int = 1, out_channels: int = 1) -> None:
        super().__init__()
        dims = spatial_dims
        self.initial = InitialBlock(dims, in_channels, 16)
        self.down1 = Downsampling(dims, 16, 64, dropout=0.01)
        self.stage1 = nn.Sequential(*(Bottleneck(dims, 64, dropout=0.01) for _ in range(4)))
        self.down2 = Downsampling(dims, 64, 128, dropout=0.1)
        # stages 2 and 3 of the paper are alike and of one size
        self.stage2 = nn.Sequential(*_dilated_stage(dims), *_dilated_stage(dims))
        self.up4 = Upsampling(dims, 128, 64)
        self.stage4 = nn.Sequential(*(Bottleneck(dims, 64, dropout=0.1, activation=nn.ReLU) for _ in range(2)))
        self.up5 = Upsampling(dims, 64, 16)
        self.stage5 = Bottleneck(dims, 16, dropout=0.1, activation=nn.ReLU)
        self.head = Conv[Conv.CONVTRANS, dims](16, out_channels, 3, stride=2, padding=1, output_padding=1, bias=False)


class InitialBlock(nn.Module):
    """Halve the size with a strided convolution and a pooling side by side."""

    def __init__(self, dims: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.convolution = Conv[Conv.CONV, dims](
            in_channels, out_channels - in_channels, 3, stride=2, padding=1, bias=False
        )
        self.pool = Pool[Pool.MAX, dims](2)
        self.norm = Norm[Norm.BATCH, dims](out_channels)
        self.activation = nn.PReLU()

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.activation(self.norm(torch.cat([self.convolution(image), self.pool(image)], dim=1)))


class Bottleneck(nn.Module):
    """Residual block: reduce 1×1, convolve (3×3, dilated, or 5×1 and 1×5), expand 1×1."""

    def __init__(
        self,
        dims: int,
        channels: int,
        dropout: float,
        dilation: int = 1,
        asymmetric: bool = False,
        activation: type[nn.Module] = nn.PReLU,
    ) -> None:
        super().__init__()
        inner = channels // 4
        if asymmetric:
            sizes = [tuple(5 if axis == long else 1 for axis in range(dims)) for long in range(dims)]
            middle = [_convolution(dims, inner, inner, size, activation) for size in sizes]
        else:
            middle = [_convolution(dims, inner, inner, 3, activation, dilation=dilation)]
        self.body = nn.Sequential(
            _convolution(dims, channels, inner, 1, activation),
            *middle,
            _convolution(dims, inner, channels, 1, activation),
            Dropout[Dropout.DROPOUT, dims](dropout),
        )
        self.activation = activation()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.activation(features + self.body(features))


class Downsampling(nn.Module):
    """Bottleneck with stride; its shortcut is pooled, and the positions of the maxima are handed on."""

    def __init__(self, dims: int, in_channels: int, out_channels: int, dropout: float) -> None:
        super().__init__()
        inner = in_channels // 4
        self.body = nn.Sequential(
            _convolution(dims, in_channels, inner, 2, nn.PReLU, stride=2),
            _convolution(dims, inner, inner, 3, nn.PReLU),
            _convolution(dims, inner, out_channels, 1, nn.PReLU),
            Dropout[Dropout.DROPOUT, dims](dropout),
        )
        self.pool = Pool[Pool.MAX, dims](2, return_indices=True)
        # the shortcut's missing channels are zeros, after its own
        self.padding = (0, 0) * dims + (0, out_channels - in_channels)
        self.activation = nn.PReLU()

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pooled, maxima = self.pool(features)
        return self.activation(F.pad(pooled, self.padding) + self.body(features)), maxima


class Upsampling(nn.Module):
    """Bottleneck with a transposed convolution; its shortcut goes back to where the maxima were."""

    def __init__(self, dims: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        inner = in_channels // 4
        norm = Norm[Norm.BATCH, dims]
        self.shortcut = nn.Sequential(
            Conv[Conv.CONV, dims](in_channels, out_channels, 1, bias=False), norm(out_channels)
        )
        self.body = nn.Sequential(
            _convolution(dims, in_channels, inner, 1, nn.ReLU),
            Conv[Conv.CONVTRANS, dims](inner, inner, 2, stride=2, bias=False),
            norm(inner),
            nn.ReLU(),
            Conv[Conv.CONV, dims](inner, out_channels, 1, bias=False),
            norm(out_channels),
            Dropout[Dropout.DROPOUT, dims](0.1),
        )

    def forward(self, features: torch.Tensor, maxima: torch.Tensor) -> torch.Tensor:
        return F.relu(unpool(self.shortcut(features), maxima) + self.body(features))


def unpool(features: torch.Tensor, maxima: torch.Tensor) -> torch.Tensor:
    """Twice the size: each value where the maximum of its window was, zeros elsewhere.

    Args:
        features: ``BCHW[D]``.
        maxima: indices from a 2×2 max-pooling, of the same shape.

    Example:
        >>> pooled, maxima = F.max_pool2d(torch.arange(16.0).reshape(1, 1, 4, 4), 2, return_indices=True)
        >>> unpool(pooled, maxima)[0, 0, 1]
        tensor([0., 5., 0., 7.])
    """
    for axis in range(2, features.ndim):
        features = features.repeat_interleave(2, dim=axis)
        maxima = maxima.repeat_interleave(2, dim=axis)
    # an index counts positions over all spatial axes
    positions = torch.arange(features[0, 0].numel(), device=features.device).reshape(features.shape[2:])
    return features * (maxima == positions)


def _dilated_stage(dims: int) -> list[nn.Module]:
    # dilation of each block; 0 marks the asymmetric ones
    return [
        Bottleneck(dims, 128, dropout=0.1, dilation=max(dilation, 1), asymmetric=dilation == 0)
        for dilation in (1, 2, 0, 4, 1, 8, 0, 16)
    ]


def _convolution(
    dims: int,
    in_channels: int,
    out_channels: int,
    size: int | tuple[int, ...],
    activation: type[nn.Module],
    stride: int = 1,
    dilation: int = 1,
) -> nn.Sequential:
    """Convolution that keeps the size (or divides it by the stride), normalisation, activation."""
    sizes = (size,) * dims if isinstance(size, int) else size
    padding = tuple(dilation * (length // 2) for length in sizes) if stride == 1 else 0
    return nn.Sequential(
        Conv[Conv.CONV, dims](in_channels, out_channels, sizes, stride, padding, dilation, bias=False),
        Norm[Norm.BATCH, dims](out_channels),
        activation(),
    )
