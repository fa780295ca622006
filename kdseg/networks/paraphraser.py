"""The paraphraser of factor transfer (NeurIPS 2018) and Graph Flow: an auto-encoder of a teacher's tap."""

from __future__ import annotations

import weakref
from itertools import pairwise

import torch
from monai.networks.layers.factories import Conv
from torch import Tensor, nn

__all__ = ["Paraphraser", "factor_encoder"]

SLOPE = 0.1


def factor_encoder(spatial_dims: int, in_channels: int, code_channels: int) -> nn.Sequential:
    """Three 3×3 convolutions C → C → k → k, each with LeakyReLU 0.1, no normalisation.

    It is the first half of a paraphraser, and the translator that factor transfer puts on the student.
    """
    return _chain(spatial_dims, "conv", [in_channels, in_channels, code_channels, code_channels])


class Paraphraser(nn.Module):
    """Encoder C → C → k → k and mirrored decoder k → k → C → C of transposed convolutions, LeakyReLU 0.1 after each.

    Trained without labels to give back the teacher's tap, then frozen; its code of k channels stands for the tap. No
    normalisation: a layer's output scales with its input where the biases do, see :meth:`scale_biases`.

    Source: layers of the authors' code (Graph Flow, arXiv 2203.08667; factor transfer has the same).

    Args:
        spatial_dims: 2 or 3 (or 1).
        in_channels: C, width of the teacher's tap.
        code_channels: k, width of the code.

    Example:
        >>> paraphraser = Paraphraser(2, 8, 3)
        >>> paraphraser(torch.zeros(1, 8, 4, 4)).shape, paraphraser.reconstruct(torch.zeros(1, 8, 4, 4)).shape
        (torch.Size([1, 3, 4, 4]), torch.Size([1, 8, 4, 4]))
    """

    trained: Tensor

    def __init__(self, spatial_dims: int, in_channels: int, code_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.code_channels = code_channels
        self.encoder = factor_encoder(spatial_dims, in_channels, code_channels)
        self.decoder = _chain(spatial_dims, "convtrans", [code_channels, code_channels, in_channels, in_channels])
        # part of the state, so that a resumed training does not warm up again
        self.register_buffer("trained", torch.tensor(False))
        self._last: tuple[weakref.ref[Tensor], tuple[int, ...], Tensor] | None = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew, so that what comes out has the size of what goes in.

        The six layers of torch's own initialisation shrink it to nothing, and training starts on a long plateau.
        """
        for chain, fan in ((self.encoder, "fan_in"), (self.decoder, "fan_out")):
            for layer in chain:
                if isinstance(layer, nn.modules.conv._ConvNd):
                    # a transposed convolution's weight has its inputs first: what comes in is its "fan out"
                    nn.init.kaiming_normal_(layer.weight, SLOPE, mode=fan)  # type: ignore[arg-type]
                    if layer.bias is not None:
                        nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor) -> Tensor:
        """The code ``BkH[WD]`` of a tap ``BCH[WD]``."""
        return self.encoder(features)

    def code(self, features: Tensor) -> Tensor:
        """:meth:`forward` without gradient, worked out once for the terms that look at the same tap of one batch."""
        if torch.compiler.is_compiling():
            with torch.no_grad():
                return self(features)
        # a tensor that was changed in place, or other weights, make another code
        versions = (features._version, *(parameter._version for parameter in self.encoder.parameters()))
        if self._last is None or self._last[0]() is not features or self._last[1] != versions:
            with torch.no_grad():
                self._last = weakref.ref(features), versions, self(features)
        return self._last[2]

    def reconstruct(self, features: Tensor) -> Tensor:
        """The tap ``BCH[WD]`` as the decoder makes it from the code."""
        return self.decoder(self.encoder(features))

    def scale_biases(self, factor: float) -> None:
        """Turn a network trained on ``features / factor`` into the one that does the same for ``features``.

        With LeakyReLU ``P(x; W, s·b) = s · P(x / s; W, b)`` for s > 0, exactly.
        """
        with torch.no_grad():
            for layer in [*self.encoder, *self.decoder]:
                if isinstance(getattr(layer, "bias", None), Tensor):
                    layer.bias.mul_(factor)


def _chain(spatial_dims: int, kind: str, widths: list[int]) -> nn.Sequential:
    convolution = Conv[kind, spatial_dims]
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [convolution(before, after, 3, padding=1), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)
