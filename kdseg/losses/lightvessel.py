"""The two terms of LightVessel (arXiv 2211.00899): feature-wise similarity and adversarial similarity distillation.

What is compared (symmetric encoder and decoder levels; annotation against prediction) is stated in the paper. The
formulas are our reconstruction, and so are the defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdseg.errors import UserError, suggestion
from kdseg.losses.adapters import orthogonal_bridge
from kdseg.losses.adversarial import PatchAdversarialLoss
from kdseg.losses.base import DistillationLoss, Head, one_hot_label, probabilities, resize
from kdseg.losses.relations import cross_relation_distance

__all__ = ["AdversarialSimilarityLoss", "FeatureSimilarityLoss", "channel_flow", "level_similarity"]

Similarity = Literal["symmetric", "cross", "channel"]
SIMILARITIES = ("symmetric", "cross", "channel")


def level_similarity(encoder: Tensor, decoder: Tensor) -> Tensor:
    """Cosine of the encoder's and the decoder's feature vector at every position: ``BCH[WD]`` twice → ``B1H[WD]``.

    A position where one of the vectors is zero has similarity 0.

    Example:
        >>> level_similarity(torch.ones(1, 1, 1, 2), torch.tensor([[[[2.0, -3.0]]]])).tolist()
        [[[[1.0, -1.0]]]]
    """
    # F.cosine_similarity writes out both maps at unit length, which costs twice the time
    lengths = [tap.square().sum(1, keepdim=True).clamp_min(1e-12).sqrt() for tap in (encoder, decoder)]
    return (encoder * decoder).sum(1, keepdim=True) / (lengths[0] * lengths[1])


def channel_flow(encoder: Tensor, decoder: Tensor) -> Tensor:
    """``E Dᵀ / N``: how the channels of two levels act together, ``B × C_E × C_D`` (the FSP matrix, CVPR 2017)."""
    encoder, decoder = encoder.flatten(2), decoder.flatten(2)
    return encoder @ decoder.transpose(1, 2) / encoder.shape[2]


class FeatureSimilarityLoss(DistillationLoss):
    """FSD: the similarity between symmetric encoder and decoder levels, carried from teacher to student.

    For each level l: ``S_l = cos(E_l, D_l)`` at every position, ``L = mean (S_T − S_S)²``, summed over the levels. The
    similarity has no channels, so networks of any width compare. Levels count at which E_l and D_l are equally wide, in
    the student and in the teacher. If there is none, all count, and a 1×1 convolution brings E_l to the width of D_l:
    trained for the student, a fixed orthogonal one for the teacher (a trained one could make the term vanish by
    itself). The cosine with a random projection says little, hence only if there is none.

    Args:
        similarity: "symmetric" (above), "cross" (all positions of E_l with all of D_l, through channel products) or
            "channel" (channels with channels, the FSP matrix).
        head: unused by this term.

    The taps are pairs: ``enc1, dec1, enc2, dec2, …``. A teacher's map of another size is resized to the student's.
    """

    extra_parts = ("1×1 convolutions where widths differ",)

    def __init__(self, similarity: Similarity = "symmetric", head: Head = "softmax") -> None:
        super().__init__(head)
        if similarity not in SIMILARITIES:
            fix = suggestion(str(similarity), SIMILARITIES)
            raise UserError("similarity", found=repr(similarity), expected=", ".join(SIMILARITIES), fix=fix)
        self.similarity = similarity
        self.levels: list[int] = []
        self.student_bridges = nn.ModuleList()
        self.teacher_bridges = nn.ModuleList()

    def build(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
        if len(student) % 2 or len(student) != len(teacher):
            raise UserError(
                "taps of the feature similarity term",
                found=f"{len(student)} student and {len(teacher)} teacher taps",
                expected="pairs of an encoder and a decoder level for both",
                fix="name them as enc1, dec1, enc2, dec2, …",
            )
        pairs = range(0, len(student), 2)
        alike = [i for i in pairs if all(taps[i].shape[1] == taps[i + 1].shape[1] for taps in (student, teacher))]
        self.levels = list(pairs) if self.similarity == "channel" or not alike else alike
        for level in self.levels:
            if self.similarity == "channel":
                self.student_bridges.append(
                    nn.ModuleList([orthogonal_bridge(student[level + i], teacher[level + i].shape[1]) for i in (0, 1)])
                )
                continue
            bridge = orthogonal_bridge(student[level], student[level + 1].shape[1])
            fixed = orthogonal_bridge(teacher[level], teacher[level + 1].shape[1])
            fixed.requires_grad_(False)
            self.student_bridges.append(bridge)
            self.teacher_bridges.append(fixed)

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        total = student[0].new_zeros(())
        for index, (level, bridge) in enumerate(zip(self.levels, self.student_bridges, strict=True)):
            pair_s, pair_t = student[level : level + 2], teacher[level : level + 2]
            if self.similarity == "channel":
                assert isinstance(bridge, nn.ModuleList)
                flow_s = channel_flow(bridge[0](pair_s[0]), bridge[1](pair_s[1]))
                total = total + F.mse_loss(flow_s, channel_flow(*pair_t))
                continue
            encoder_s, decoder_s = bridge(pair_s[0]), pair_s[1]
            encoder_t, decoder_t = self.teacher_bridges[index](pair_t[0]), pair_t[1]
            size = decoder_s.shape[2:]
            if self.similarity == "symmetric":
                map_t = resize(level_similarity(encoder_t, decoder_t), size)
                total = total + F.mse_loss(level_similarity(encoder_s, decoder_s), map_t)
            else:
                maps = (encoder_s, decoder_s, resize(encoder_t, size), resize(decoder_t, size))
                total = total + cross_relation_distance(*maps, cosine=True)
        return total


class AdversarialSimilarityLoss(PatchAdversarialLoss):
    """ASD: a patch discriminator on annotation and prediction together; real is the teacher's, fake the student's.

    ``D`` sees the one-hot annotation beside the probabilities, ``B 2K H[WD]``; the student minimises
    ``−mean D(y, p_S)`` (wgan-gp) or ``mean (D(y, p_S) − 1)²`` (lsgan).
    """

    needs_labels = True

    def seen_channels(self, taps: Sequence[Tensor]) -> int:
        return 2 * taps[0].shape[1]

    def pair(self, taps: Sequence[Tensor], label: Tensor | None) -> Tensor:
        logits = taps[0]
        assert label is not None, "the call is checked: needs_labels"
        truth, valid = one_hot_label(label, logits.shape[1], self.head)
        size = label.shape[2:]
        # where nothing is known the discriminator sees zeros on both sides, for teacher and student alike. An image of
        # which nothing is known is left out: there is nothing to tell apart
        seen = torch.cat([truth, probabilities(resize(logits, size), self.head) * valid], 1).to(logits.dtype)
        return seen[valid.flatten(1).any(1)]
