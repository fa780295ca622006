"""TinyUnet's student: the teacher's U-Net at a sixteenth of its width."""

from __future__ import annotations

from kdseg.networks.tiny_unet import TinyUNet

__all__ = ["ThinUNet"]


class ThinUNet(TinyUNet):
    """The U-Net of ``TinyUNet`` at base width 4: 58,557 parameters for 1 channel in, 1 out, in 2-D (99.60 % fewer).

    Source: J. BUAA 2022, 48(8):1409-1417; the width is a reconstruction, from the published reduction.

    Args:
        spatial_dims: 2 or 3.
        in_channels: channels of the image.
        out_channels: channels of the logits.
        base_channels: width of the first level.

    Shape:
        ``BNHW[D]`` with sizes that are multiples of 16, to ``BKHW[D]``.

    Example:
        >>> sum(parameter.numel() for parameter in ThinUNet().parameters())
        58557
    """

    def __init__(
        self, spatial_dims: int = 2, in_channels: int = 1, out_channels: int = 1, base_channels: int = 4
    ) -> None:
        super().__init__(spatial_dims, in_channels, out_channels, base_channels)
