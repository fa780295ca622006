"""A variant of TinyUnet's student: twice as wide, with depthwise-separable convolutions."""

from __future__ import annotations

from kdseg.networks.tiny_unet import TinyUNet

__all__ = ["SeparableUNet"]


class SeparableUNet(TinyUNet):
    """The U-Net of ``TinyUNet`` at base width 8, each 3×3 convolution split into a depthwise and a pointwise one.

    Source: our reconstruction of the depthwise-separable variant; the transposed convolutions stay whole.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: channels of the logits.
        base_channels: width of the first level.

    Shape:
        ``BNHW[D]`` with sizes that are multiples of 16, to ``BKHW[D]``.

    Example:
        >>> sum(parameter.numel() for parameter in SeparableUNet().parameters()) < 60_000
        True
    """

    def __init__(
        self, spatial_dims: int = 2, in_channels: int = 1, out_channels: int = 1, base_channels: int = 8
    ) -> None:
        super().__init__(spatial_dims, in_channels, out_channels, base_channels, separable=True)
