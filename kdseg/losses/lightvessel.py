"""The two terms of LightVessel (arXiv 2211.00899): feature-wise similarity and adversarial similarity distillation.

What is compared (symmetric encoder and decoder levels; annotation against prediction) is stated in the paper. The
formulas are our reconstruction, and so are the defaults.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from kdseg.errors import UserError, suggestion
from kdseg.losses.adversarial import PatchAdversarialLoss
from kdseg.losses.base import DistillationLoss
from kdseg.losses.labels import Head, one_hot_label, probabilities
from kdseg.losses.relations import cross_relation_distance
from kdseg.losses.sizes import resize

__all__ = ["AdversarialSimilarityLoss", "FeatureSimilarityLoss", "level_similarity"]

Similarity = Literal["symmetric", "cross"]
SIMILARITIES = ("symmetric", "cross")
LEAST_CHANNELS = 4


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


class FeatureSimilarityLoss(DistillationLoss):
    """FSD: the similarity between symmetric encoder and decoder levels, carried from teacher to student.

    For each level l: ``S_l = cos(E_l, D_l)`` at every position, ``L = mean (S_T − S_S)²``, summed over the levels. The
    similarity has no channels, so networks of any width compare. Levels count at which E_l and D_l are equally wide, in
    the student and in the teacher, and of these the ones with four channels or more in both, if there are any: a cosine
    of two numbers says little.

    Args:
        similarity: "symmetric" (above) or "cross" (all positions of E_l with all of D_l, through channel products).
        head: unused by this term.

    The taps are pairs: ``enc2, up2, enc3, up3, …``. A teacher's map of another size is resized to the student's.

    Raises:
        UserError: for taps that are no pairs, and where no pair is equally wide.
    """

    def __init__(self, similarity: Similarity = "symmetric", head: Head = "softmax") -> None:
        super().__init__(head)
        if similarity not in SIMILARITIES:
            fix = suggestion(str(similarity), SIMILARITIES)
            raise UserError("similarity", found=repr(similarity), expected=", ".join(SIMILARITIES), fix=fix)
        self.similarity = similarity
        self.levels: list[int] = []

    def build(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
        pairs = range(0, len(student) - 1, 2)
        alike = [i for i in pairs if all(taps[i].shape[1] == taps[i + 1].shape[1] for taps in (student, teacher))]
        wide = [i for i in alike if min(student[i].shape[1], teacher[i].shape[1]) >= LEAST_CHANNELS]
        self.levels = wide or alike
        if len(student) % 2 or not alike:
            widths = [" ".join(str(tap.shape[1]) for tap in taps) for taps in (student, teacher)]
            raise UserError(
                "taps of the feature similarity term",
                found=f"{len(student)} taps, {widths[0]} channels wide in the student, {widths[1]} in the teacher",
                expected="pairs of an encoder and a decoder level of equal width, one at least",
                fix="name them as enc2, up2, enc3, up3, …",
            )

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        total = student[0].new_zeros(())
        for level in self.levels:
            (encoder_s, decoder_s), (encoder_t, decoder_t) = student[level : level + 2], teacher[level : level + 2]
            if self.similarity == "symmetric":
                map_t = resize(level_similarity(encoder_t, decoder_t), decoder_s.shape[2:])
                total = total + F.mse_loss(level_similarity(encoder_s, decoder_s), map_t)
            else:
                encoder_t, decoder_t = resize(encoder_t, encoder_s.shape[2:]), resize(decoder_t, decoder_s.shape[2:])
                total = total + cross_relation_distance(encoder_s, decoder_s, encoder_t, decoder_t, cosine=True)
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
