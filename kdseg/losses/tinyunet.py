"""TinyUnet's spatial term (J. BUAA 2022, 48(8):1409–1417): key points on the edges of the deep map as a graph.

What is compared is the paper's; the construction is our reconstruction. Its other term, over several layers, is
:class:`kdseg.losses.OverhaulLoss`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from kdseg.errors import UserError
from kdseg.losses.adapters import channel_adapter
from kdseg.losses.base import DistillationLoss
from kdseg.losses.labels import IGNORED, Head
from kdseg.losses.sizes import resize

__all__ = ["SpatialGraphLoss", "edge_map", "key_points", "neighbourhood"]

SHARPNESS = 0.1
SUPPRESSION = 2


def edge_map(label: Tensor, size: Sequence[int]) -> Tensor:
    """``dilate(y) − erode(y)`` as yes or no at a tap's size: 1 where a border of a class passes, ``B1H[WD]``.

    Found on the label as it is, then max-pooled to the tap, so that a vessel thinner than a tap's position keeps its
    edge. Next to voxels of label 255 there is no edge.

    Args:
        label: ``B1H[WD]`` class numbers or ``BKH[WD]`` binary maps.
        size: spatial size of the tap.

    Example:
        >>> edge_map(torch.tensor([[[0, 0, 0, 1, 1, 1]]]), (6,)).tolist()
        [[[0.0, 0.0, 1.0, 1.0, 0.0, 0.0]]]
    """
    dims = label.ndim - 2
    label = label.float()
    widest = _pool(dims)(label, 3, stride=1, padding=1)
    narrowest = -_pool(dims)(-label, 3, stride=1, padding=1)
    known = (widest != IGNORED).all(1, keepdim=True)
    edge = ((widest != narrowest).any(1, keepdim=True) & known).float()
    if tuple(size) == tuple(edge.shape[2:]):
        return edge
    adaptive = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)[dims - 1]
    return adaptive(edge, tuple(size))


def key_points(edges: Tensor, features: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The ``count`` strongest edge positions of a map: top-K of ``e·‖F‖`` after non-maximum suppression (radius 2).

    Args:
        edges: ``B1H[WD]``, 1 on edges.
        features: ``BCH[WD]``, the teacher's.
        count: K; all positions where the map has fewer.

    Returns:
        Flat positions ``B × K`` and a mask ``B × K``: 0 where an image has fewer edge positions than K.

    Example:
        >>> places, real = key_points(torch.tensor([[[1.0, 0.0, 0.0, 1.0]]]), torch.ones(1, 2, 4), 3)
        >>> sorted(places[0][real[0]].tolist())
        [0, 3]
    """
    strength = edges * features.norm(dim=1, keepdim=True)
    dims = features.ndim - 2
    highest = _pool(dims)(strength, 2 * SUPPRESSION + 1, stride=1, padding=SUPPRESSION)
    strength = (strength * (strength == highest)).flatten(1)
    value, place = strength.topk(min(count, strength.shape[1]), dim=1)
    return place, value > 0


def neighbourhood(nodes: Tensor, places: Tensor, real: Tensor, reach: float) -> Tensor:
    """Adjacency ``B × K × K``: softmax of cosine/0.1, times ``exp(−d²/2ρ²)`` of the distance, rows summing to 1.

    Args:
        nodes: ``B × K × C``.
        places: ``B × K × dims`` coordinates, in positions of the tap.
        real: ``B × K``, what is a node; the rows and columns of the others are 0.
        reach: ρ, in positions of the tap.
    """
    unit = F.normalize(nodes, dim=2, eps=1e-6)
    likeness = (unit @ unit.transpose(1, 2) / SHARPNESS).masked_fill(~real.unsqueeze(1), -1e4)
    nearness = torch.exp(-(places.unsqueeze(2) - places.unsqueeze(1)).square().sum(3) / (2 * reach**2))
    weights = likeness.softmax(2) * nearness * real.unsqueeze(2) * real.unsqueeze(1)
    return weights / weights.sum(2, keepdim=True).clamp_min(1e-12)


class SpatialGraphLoss(DistillationLoss):
    """``mean ‖n(H_S) − n(H_T)‖²`` of two graph convolutions over the key points of the teacher's edges.

    ``H¹ = ReLU(A V W₁)``, ``H² = A H¹ W₂``, where W₁ and W₂ are fixed random orthogonal matrices: trained ones could
    make the term vanish. Each network has the adjacency of its own nodes at the teacher's key points, the student's
    nodes brought to the teacher's width by a trained 1×1 convolution. The edge enhancement ``F·(1 + e)`` is the same
    factor 2 at every key point and falls out of cosines and normalised rows, so it only acts through the choice of the
    points. Mean over the key points of the batch; 0 where there is no edge at all.

    Args:
        points: K, key points of an image; images with fewer edges have fewer nodes.
        reach: standard deviation ρ of the distance weight, in positions of the tap [our default].
        head: "softmax" or "sigmoid".

    Raises:
        UserError: for settings out of range, or more than one tap.
    """

    needs_labels = True
    weights: Tensor

    def __init__(self, points: int = 64, reach: float = 8.0, head: Head = "softmax") -> None:
        super().__init__(head)
        if points < 1 or reach <= 0:
            found = f"points={points}, reach={reach}"
            raise UserError("spatial term", found=found, expected="both above 0", fix="use points=64, reach=8")
        self.points = points
        self.reach = reach

    def build(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
        if len(student) != 1 or len(teacher) != 1:
            found = f"{len(student)} student and {len(teacher)} teacher taps"
            raise UserError("taps of the spatial term", found=found, expected="one deep tap", fix="name one: enc4")
        width = teacher[0].shape[1]
        self.adapter = channel_adapter(student[0], width)
        # drawn from the width alone: the target does not change from run to run
        generator = torch.Generator().manual_seed(width)
        drawn = torch.randn(2, width, width, generator=generator, dtype=torch.float64)
        weights = torch.linalg.qr(drawn).Q.to(teacher[0])
        self.register_buffer("weights", weights)

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor], label: Tensor | None = None) -> Tensor:
        assert label is not None, "the call is checked: needs_labels"
        features = self.adapter(student[0])
        size = features.shape[2:]
        target = resize(teacher[0], size)
        flat, real = key_points(edge_map(label, size), target, self.points)
        places = _coordinates(flat, size).to(features.dtype)
        h_s = self._convolve(_nodes(features, flat), places, real)
        h_t = self._convolve(_nodes(target, flat), places, real)
        count = real.sum().clamp_min(1)
        apart = F.normalize(h_s, dim=2, eps=1e-6) - F.normalize(h_t, dim=2, eps=1e-6)
        return (apart.square().sum(2) * real).sum() / count

    def _convolve(self, nodes: Tensor, places: Tensor, real: Tensor) -> Tensor:
        adjacency = neighbourhood(nodes, places, real, self.reach)
        hidden = F.relu(adjacency @ nodes @ self.weights[0])
        return adjacency @ hidden @ self.weights[1]


def _nodes(features: Tensor, flat: Tensor) -> Tensor:
    """Feature vectors ``B × K × C`` at flat positions ``B × K``."""
    features = features.flatten(2)
    return features.gather(2, flat.unsqueeze(1).expand(-1, features.shape[1], -1)).transpose(1, 2)


def _coordinates(flat: Tensor, size: Sequence[int]) -> Tensor:
    """Coordinates ``B × K × dims`` of flat positions."""
    axes = []
    for length in reversed(tuple(size)):
        axes.append(flat % length)
        flat = flat // length
    return torch.stack(axes[::-1], dim=2)


def _pool(dims: int) -> Callable[..., Tensor]:
    return (F.max_pool1d, F.max_pool2d, F.max_pool3d)[dims - 1]
