"""The U-Net of TinyUnet's paper: the teacher at base width 64, its students at base widths 4 and 8."""

from __future__ import annotations

from collections import OrderedDict

from monai.networks.layers.factories import Conv, Norm
from torch import nn

from kdseg.networks.u_shape import UShape

__all__ = ["SeparableUNet", "ThinUNet", "UNet"]


class UNet(UShape):
    """U-Net of five levels with widths c, 2c, 4c, 8c, 8c.

    A level is 3×3, batch norm, ReLU, 3×3, batch norm, ReLU; upsampling is a transposed 2×2 convolution that keeps the
    channels. Taps: ``enc1…enc5`` and ``dec1…dec4`` after the last ReLU (``enc1:pre`` before it), ``up1…up4`` what the
    decoder joins to ``enc1…enc4``.

    Source: J. BUAA 2022, 48(8):1409-1417; the layout is that of the published code (sizes and taps exactly; 14,787,777
    parameters for 1 channel in, 1 out, base 64, in 2-D). The paper's sigmoid is left to the loss: logits come out.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: channels of the logits.
        base_channels: width c of the first level; 64 is the teacher.
        separable: replace each 3×3 convolution by a depthwise 3×3 and a pointwise 1×1 one (our construction).

    Shape:
        ``BNHW[D]`` with sizes that are multiples of 16, to ``BKHW[D]``.

    Raises:
        UserError: for an image whose sizes are not multiples of 16.

    Example:
        >>> network = UNet(base_channels=4)
        >>> network(torch.zeros(2, 1, 32, 48)).shape
        torch.Size([2, 1, 32, 48])
        >>> network.taps["enc2"]
        'encoder.1'
    """

    def __init__(
        self,
        spatial_dims: int = 2,
        in_channels: int = 1,
        out_channels: int = 1,
        base_channels: int = 64,
        separable: bool = False,
    ) -> None:
        base = base_channels
        widths = [base, 2 * base, 4 * base, 8 * base, 8 * base]
        into = [in_channels, *widths[:-1]]
        encoder = [
            _double_convolution(spatial_dims, before, after, separable)
            for before, after in zip(into, widths, strict=True)
        ]
        up, decoder = [], []
        deep = widths[-1]
        for skip, after in zip(reversed(widths[:-1]), [4 * base, 2 * base, base, base], strict=True):
            up.append(Conv[Conv.CONVTRANS, spatial_dims](deep, deep, 2, stride=2))
            decoder.append(_double_convolution(spatial_dims, deep + skip, after, separable))
            deep = after
        head = Conv[Conv.CONV, spatial_dims](deep, out_channels, 1)
        super().__init__(spatial_dims, encoder, up, decoder, head, [16] * spatial_dims)


class ThinUNet(UNet):
    """:class:`UNet` at base width 4, TinyUnet's student: 58,557 parameters for 1 channel in, 1 out, in 2-D.

    The width is a reconstruction, from the published reduction by 99.60 %.

    Example:
        >>> sum(parameter.numel() for parameter in ThinUNet().parameters())
        58557
    """

    def __init__(
        self, spatial_dims: int = 2, in_channels: int = 1, out_channels: int = 1, base_channels: int = 4
    ) -> None:
        super().__init__(spatial_dims, in_channels, out_channels, base_channels)


class SeparableUNet(UNet):
    """:class:`UNet` at base width 8 with depthwise-separable convolutions; the transposed ones stay whole.

    A reconstruction of the paper's depthwise-separable variant.

    Example:
        >>> sum(parameter.numel() for parameter in SeparableUNet().parameters()) < 60_000
        True
    """

    def __init__(
        self, spatial_dims: int = 2, in_channels: int = 1, out_channels: int = 1, base_channels: int = 8
    ) -> None:
        super().__init__(spatial_dims, in_channels, out_channels, base_channels, separable=True)


def _double_convolution(spatial_dims: int, before: int, after: int, separable: bool) -> nn.Sequential:
    convolution = _separable_convolution if separable else _convolution
    norm = Norm[Norm.BATCH, spatial_dims]
    return nn.Sequential(
        OrderedDict(
            conv1=convolution(spatial_dims, before, after),
            norm1=norm(after),
            relu1=nn.ReLU(inplace=True),
            conv2=convolution(spatial_dims, after, after),
            norm2=norm(after),
            # not in place: the backward pass of a tap before it may still need what was there
            relu2=nn.ReLU(),
        )
    )


def _convolution(spatial_dims: int, before: int, after: int) -> nn.Module:
    return Conv[Conv.CONV, spatial_dims](before, after, 3, padding=1)


def _separable_convolution(spatial_dims: int, before: int, after: int) -> nn.Module:
    convolution = Conv[Conv.CONV, spatial_dims]
    depthwise = convolution(before, before, 3, padding=1, groups=before, bias=False)
    return nn.Sequential(OrderedDict(depthwise=depthwise, pointwise=convolution(before, after, 1)))
