"""Factor transfer (NeurIPS 2018): the student translates itself into the paraphrased features of the teacher."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdseg.errors import UserError
from kdseg.losses.base import DistillationLoss
from kdseg.losses.labels import Head
from kdseg.losses.sizes import resize
from kdseg.networks.paraphraser import Paraphraser, factor_encoder

__all__ = ["FactorLoss", "factor_distance"]


def factor_distance(student: Tensor, teacher: Tensor) -> Tensor:
    """``mean |n(P_S) − n(P_T)|`` of two factors ``BkH[WD]``, each of length 1 for every image.

    Example:
        >>> factor_distance(torch.ones(1, 2, 1), -2 * torch.ones(1, 2, 1)).item()
        1.4142135381698608
    """
    return F.l1_loss(F.normalize(student.flatten(1), dim=1), F.normalize(teacher.flatten(1), dim=1))


class FactorLoss(DistillationLoss):
    """FT: a frozen paraphraser gives the teacher's factor, a trained translator the student's; summed over the taps.

    The paraphrasers are trained before the student, by ``kdseg.handlers.ParaphraserWarmup``; until then their codes are
    random projections of the teacher. Source: the reference implementations; the layers are those of section 1 of
    methods.md, without normalisation.

    Args:
        rate: width of the factor, as a share of the teacher's width.
        head: unused by this term.

    Raises:
        UserError: for a rate that is not in (0, 1].

    Example:
        >>> loss = FactorLoss()
        >>> loss.build([torch.zeros(1, 2, 4, 4)], [torch.zeros(1, 8, 4, 4)])
        >>> loss.paraphrasers[0].code_channels
        4
    """

    zero_when_equal = False

    def __init__(self, rate: float = 0.5, head: Head = "softmax") -> None:
        super().__init__(head)
        if not 0 < rate <= 1:
            raise UserError("rate", found=str(rate), expected="a share above 0, at most 1", fix="use 0.5")
        self.rate = rate
        self.paraphrasers = nn.ModuleList()
        self.translators = nn.ModuleList()

    def build(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
        for features, target in zip(student, teacher, strict=True):
            width, dims = target.shape[1], features.ndim - 2
            code = max(1, round(self.rate * width))
            self.paraphrasers.append(Paraphraser(dims, width, code).to(target).requires_grad_(False))
            self.translators.append(factor_encoder(dims, features.shape[1], code).to(features))

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        total = student[0].new_zeros(())
        for index, translator in enumerate(self.translators):
            with torch.no_grad():
                factor = resize(self.paraphrasers[index](teacher[index]), student[index].shape[2:])
            total = total + factor_distance(translator(student[index]), factor)
        return total
