"""Distillation of the class probabilities (Hinton et al., arXiv 1503.02531), voxel by voxel."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from kdseg.errors import UserError
from kdseg.losses.base import DistillationLoss
from kdseg.losses.labels import IGNORED, Head, cross_entropy, masked_mean, one_hot_label, probabilities
from kdseg.losses.sizes import resize

__all__ = ["LogitsLoss", "SoftLabelLoss", "logits_distillation"]


def logits_distillation(
    student: Tensor, teacher: Tensor, temperature: float = 1.0, head: Head = "softmax", mask: Tensor | None = None
) -> Tensor:
    r"""``τ² · KL(p_T ‖ p_S)`` at temperature τ, summed over classes and averaged over voxels.

    The factor τ² keeps the size of the gradient when the temperature changes. The mean over voxels makes the value
    independent of the image size; classes are summed, as in the paper, not averaged. With a sigmoid head each channel
    is a Bernoulli distribution of its own and the channels are summed.

    Args:
        student: logits ``BKH[WD]``.
        teacher: logits of the same shape, without gradient.
        temperature: τ > 0.
        head: "softmax" or "sigmoid".
        mask: ``B1H[WD]``, 1 where a voxel counts.

    Example:
        >>> import torch
        >>> z = torch.randn(2, 3, 8, 8)
        >>> bool(logits_distillation(z, z, temperature=4.0).abs() < 1e-6)
        True
    """
    student, teacher = student / temperature, teacher / temperature
    if head == "softmax":
        log_p, log_q = F.log_softmax(teacher, 1), F.log_softmax(student, 1)
        divergence = (log_p.exp() * (log_p - log_q)).sum(1, keepdim=True)
    else:
        # log σ(z) and log σ(−z) stay finite where σ(z) rounds to 0 or 1
        p = teacher.sigmoid()
        positive = F.logsigmoid(teacher) - F.logsigmoid(student)
        negative = F.logsigmoid(-teacher) - F.logsigmoid(-student)
        divergence = (p * positive + (1 - p) * negative).sum(1, keepdim=True)
    return temperature**2 * masked_mean(divergence, mask)


class LogitsLoss(DistillationLoss):
    """:func:`logits_distillation` of the first tap. Voxels with the label 255 are left out where a label is given.

    Args:
        temperature: τ > 0; 1 keeps the probabilities as they are, 2–4 stress what the teacher finds similar.
        use_ignored: also learn from the teacher where the label is 255 (unlabelled images are labelled 255 everywhere).
        head: "softmax" or "sigmoid".
    """

    def __init__(self, temperature: float = 1.0, use_ignored: bool = True, head: Head = "softmax") -> None:
        super().__init__(head)
        if temperature <= 0:
            raise UserError("temperature", found=str(temperature), expected="a number above 0", fix="use 1 to 4")
        self.temperature = temperature
        self.use_ignored = use_ignored

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        mask = None
        if label is not None and not self.use_ignored:
            mask = (label != IGNORED).all(1, keepdim=True).float()
        return logits_distillation(
            student[0], resize(teacher[0], student[0].shape[2:]), self.temperature, self.head, mask
        )


class SoftLabelLoss(DistillationLoss):
    """``CE(p, p_T) − CE(p, y)``: with weight α the supervised ``CE(p, y)`` becomes ``(1−α)·CE(p, y) + α·CE(p, p_T)``.

    The balance of cross-entropy and Dice stays what it is without a teacher; a divergence on top of them would tip it.
    The first mean is over all voxels, the second over those with a label, so that unlabelled ones learn from the
    teacher alone. The value may be negative. It takes for granted that the supervised loss has a cross-entropy of
    weight 1, as :class:`kdseg.losses.SegmentationLoss` has.

    Args:
        head: "softmax" (classes summed) or "sigmoid" (mean over the channels, as the supervised loss has it).

    Example:
        >>> import torch
        >>> sure, label = torch.full((1, 1, 2, 2), 50.0), torch.ones(1, 1, 2, 2)
        >>> SoftLabelLoss("sigmoid")([torch.zeros(1, 1, 2, 2)], [sure], label).item()  # both say the same
        0.0
    """

    zero_when_equal = False
    largest_weight = 1.0

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        logits = student[0]
        target = probabilities(resize(teacher[0], logits.shape[2:]), self.head)
        value = cross_entropy(logits, target, self.head).mean()
        if label is None:
            return value
        truth, valid = one_hot_label(label, logits.shape[1], self.head)
        return value - masked_mean(cross_entropy(logits, truth, self.head), valid)
