"""Channel-wise distillation (ICCV 2021, arXiv 2011.13256): where each channel looks."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from kdseg.errors import UserError
from kdseg.losses.base import TapwiseLoss
from kdseg.losses.labels import Head

__all__ = ["ChannelLoss", "channel_divergence"]


def channel_divergence(student: Tensor, teacher: Tensor, temperature: float = 4.0) -> Tensor:
    r"""``τ² / (B·C) · Σ KL(φ(F_T) ‖ φ(F_S))`` with ``φ`` the softmax over all positions of a channel at temperature τ.

    Args:
        student: ``BCH[WD]``.
        teacher: ``BCH[WD]``, the same shape.
        temperature: τ > 0.

    Example:
        >>> import torch
        >>> z = torch.randn(2, 3, 8, 8)
        >>> channel_divergence(z + 1, z).item() < 1e-5  # a channel's level does not matter
        True
    """
    log_s, log_t = (F.log_softmax(f.flatten(2) / temperature, 2) for f in (student, teacher))
    return temperature**2 * (log_t.exp() * (log_t - log_s)).sum(2).mean()


class ChannelLoss(TapwiseLoss):
    """:func:`channel_divergence`, summed over the taps; of the logits or of features.

    Where the widths differ, a trained 1×1 convolution with batch normalisation and ReLU brings the student's tap to the
    teacher's width, which is the C of the formula (the reference code divides by the width before).

    Args:
        temperature: τ > 0.
        positions: larger maps are mean-pooled to so many positions; the authors' features have 64 × 64.
        head: unused by this term.
    """

    adapter = "relu"

    def __init__(self, temperature: float = 4.0, positions: int | None = None, head: Head = "softmax") -> None:
        super().__init__(head)
        if temperature <= 0:
            raise UserError("temperature", found=str(temperature), expected="a number above 0", fix="use 4")
        self.temperature = temperature
        self.positions = positions

    def distance(self, student: Tensor, teacher: Tensor) -> Tensor:
        return channel_divergence(student, teacher, self.temperature)
