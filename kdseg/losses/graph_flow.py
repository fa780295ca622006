"""Graph Flow (arXiv 2203.08667): how the graph of salient windows changes from one layer to another.

Paraphraser, taps and adversarial term follow the authors' code; the graphs and their sums are our reconstruction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kdseg.errors import UserError
from kdseg.losses.adapters import channel_adapter
from kdseg.losses.adversarial import AdversarialLoss, Objective
from kdseg.losses.base import DistillationLoss
from kdseg.losses.labels import Head
from kdseg.losses.sizes import resize
from kdseg.networks.paraphraser import Paraphraser
from kdseg.networks.sagan_discriminator import SAGANDiscriminator

__all__ = [
    "GraphAdversarialLoss",
    "GraphEdgeLoss",
    "GraphVertexLoss",
    "graph_edges",
    "salient_windows",
    "variation_distance",
]


def salient_windows(features: Tensor, window: int) -> Tensor:
    """The window around each channel's position of maximum activation, zero outside of the map.

    Args:
        features: ``BCH[WD]``; may be smaller than the window. Gradient reaches the windows only, not the choice.
        window: P, odd: the window is P×P(×P).

    Returns:
        The vertices ``B × C × P²`` (``P³`` in 3-D).

    Example:
        >>> salient_windows(torch.tensor([[[[0.0, 1.0], [0.0, 9.0]]]]), 3)[0, 0].view(3, 3).tolist()
        [[0.0, 1.0, 0.0], [0.0, 9.0, 0.0], [0.0, 0.0, 0.0]]
    """
    flat, size = features.flatten(2), features.shape[2:]
    best = flat.detach().argmax(2)
    reach = torch.arange(window, device=features.device) - window // 2
    position = torch.zeros((*best.shape, 1), dtype=torch.long, device=features.device)
    inside = torch.ones_like(position, dtype=torch.bool)
    for axis, length in enumerate(size):
        stride = math.prod(size[axis + 1 :])
        centre = best // stride % length
        along = centre.unsqueeze(-1) + reach  # B × C × P on this axis, joined to the axes before it
        position = (position.unsqueeze(-1) + (along.clamp(0, length - 1) * stride).unsqueeze(2)).flatten(2)
        inside = (inside.unsqueeze(-1) & ((along >= 0) & (along < length)).unsqueeze(2)).flatten(2)
    return flat.gather(2, position) * inside


def graph_edges(vertices: Tensor) -> Tensor:
    """``E = V Vᵀ``: ``B × C × P²`` → ``B × C × C``."""
    return vertices @ vertices.transpose(1, 2)


def variation_distance(shallow_s: Tensor, deep_s: Tensor, shallow_t: Tensor, deep_t: Tensor) -> Tensor:
    """``Σ ‖(Xⁿ − Xᵐ)_T − (Xⁿ − Xᵐ)_S‖²`` of vertices or edges: a sum over the batch too, as the weights suppose.

    Example:
        >>> one, zero = torch.ones(1, 2, 3), torch.zeros(1, 2, 3)
        >>> variation_distance(zero, one, zero, zero).item()
        6.0
    """
    return ((deep_t - shallow_t) - (deep_s - shallow_s)).square().sum()


class _GraphLoss(DistillationLoss):
    """Windows of student and paraphrased teacher; the taps are pairs: shallow, deep, shallow, deep, …

    The paraphrasers (one a teacher tap, frozen) bring the teacher to the width of the student's deep tap; a tap that
    has it already is taken as it is. A shallow student tap of another width gets a trained 1×1 convolution (our
    addition: the paper's students have one width). The teacher's code is resized where the sizes differ.
    """

    batch_invariant = False
    zero_when_equal = False

    def __init__(self, window: int = 9, head: Head = "softmax") -> None:
        super().__init__(head)
        if window < 1 or window % 2 == 0:
            raise UserError(
                "window", found=str(window), expected="an odd number of positions", fix="use 9, or 3 for small objects"
            )
        self.window = window
        self.adapters = nn.ModuleList()
        self.paraphrasers = nn.ModuleList()

    def build(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
        if len(student) % 2 or len(student) != len(teacher):
            raise UserError(
                "taps of the graph flow term",
                found=f"{len(student)} student and {len(teacher)} teacher taps",
                expected="pairs of a shallow and a deep layer for both",
                fix="name them as enc3, dec3, or enc3, dec3, enc2, dec2, …",
            )
        for index, (features, target) in enumerate(zip(student, teacher, strict=True)):
            width = student[index | 1].shape[1]
            self.adapters.append(channel_adapter(features, width))
            same = target.shape[1] == width
            paraphraser = nn.Identity() if same else Paraphraser(target.ndim - 2, target.shape[1], width).to(target)
            self.paraphrasers.append(paraphraser.requires_grad_(False))

    def vertices(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
        """``B × C × P²`` of student shallow, student deep, teacher shallow, teacher deep, for each pair of layers."""
        v_s, v_t = [], []
        for index, adapter in enumerate(self.adapters):
            v_s.append(salient_windows(adapter(student[index]), self.window))
            paraphraser = self.paraphrasers[index]
            code = paraphraser.code(teacher[index]) if isinstance(paraphraser, Paraphraser) else teacher[index]
            with torch.no_grad():
                code = resize(code, student[index].shape[2:])
                v_t.append(salient_windows(code, self.window))
        return [(v_s[i], v_s[i + 1], v_t[i], v_t[i + 1]) for i in range(0, len(v_s), 2)]


class GraphVertexLoss(_GraphLoss):
    """``Σ_{b,c} ‖ΔV_T − ΔV_S‖²`` with ``ΔV = Vⁿ − Vᵐ``: how the salient windows change between two layers.

    Args:
        window: P, odd: 9, or 3 for gastric images [code]. A window that is larger than the tap is filled with zeros.
        head: unused by this term.

    Raises:
        UserError: for an even window, or taps that are not pairs.
    """

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        return torch.stack([variation_distance(*pair) for pair in self.vertices(student, teacher)]).sum()


class GraphEdgeLoss(_GraphLoss):
    """``Σ_{b,i,j} (ΔE_T − ΔE_S)²`` with ``ΔE = Eⁿ − Eᵐ``, ``E = V Vᵀ``: how their relations change.

    Args:
        window: see :class:`GraphVertexLoss`.
        head: unused by this term.

    Raises:
        UserError: for an even window, or taps that are not pairs.
    """

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        pairs = ([graph_edges(v) for v in pair] for pair in self.vertices(student, teacher))
        return torch.stack([variation_distance(*pair) for pair in pairs]).sum()


class GraphAdversarialLoss(AdversarialLoss):
    """``−mean D(tanh z_S)`` with the SAGAN discriminator; real is the teacher's output, fake the student's.

    Args:
        objective: "wgan-gp" [code] or "lsgan".
        penalty: weight of the gradient penalty.
        channels: width of the discriminator's first stage; the next three have 2, 4 and 8 times as many. 64 [code]
            costs many times a light student's own step; a multiple of 2.
        head: unused by this term: the tanh of the logits is judged for both.

    Raises:
        UserError: for an odd width, or one below 2.
    """

    def __init__(
        self,
        objective: Objective = "wgan-gp",
        penalty: float = 10.0,
        channels: int = 64,
        head: Head = "softmax",
    ) -> None:
        super().__init__(objective, penalty, head)
        if channels < 2 or channels % 2:
            fix = "use 64, or 8 on a CPU"
            raise UserError("channels", found=str(channels), expected="a multiple of 2, 2 or more", fix=fix)
        self.channels = channels

    def build(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
        logits = student[0]
        widths = [self.channels * factor for factor in (1, 2, 4, 8)]
        made = SAGANDiscriminator(logits.ndim - 2, logits.shape[1], logits.shape[2:], widths, attention=widths[2:])
        self.discriminator = made.to(logits).eval()

    def train(self, mode: bool = True) -> GraphAdversarialLoss:
        """The discriminator stays in eval mode: its spectral norms move in its own step only, not in the student's."""
        super().train(mode)
        if "discriminator" in self._modules:
            self.discriminator.eval()
        return self

    def pair(self, taps: Sequence[Tensor], label: Tensor | None) -> Tensor:
        return taps[0].tanh()

    def discriminator_loss(
        self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None
    ) -> Tensor:
        self.discriminator.train()
        try:
            target = resize(teacher[0], student[0].shape[2:])
            return super().discriminator_loss(student, [target], label)
        finally:
            self.discriminator.eval()
