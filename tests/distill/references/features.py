"""References of the feature, graph and adversarial losses: loops over images, channels and positions."""

from __future__ import annotations

import math
from itertools import combinations, product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.distill.contract import reference

Taps = list[Tensor]


@reference("fitnet")
def fitnet(loss: Any, student: Taps, teacher: Taps, label: Tensor) -> Tensor:
    parts = [(r(s) - t).square().mean() for r, s, t in zip(loss.adapters, student, teacher, strict=True)]
    return torch.stack(parts).sum()


def attention(features: Tensor, power: int) -> Tensor:
    activity = torch.stack([(image**power).mean(0).flatten() for image in features])
    return activity / activity.square().sum(1, keepdim=True).sqrt()


@reference("attention")
def attention_transfer(loss: Any, student: Taps, teacher: Taps, label: Tensor) -> Tensor:
    pairs = zip(student, teacher, strict=True)
    return torch.stack([(attention(s, 2) - attention(t, 2)).square().mean() for s, t in pairs]).sum()


@reference("importance_map")
def importance_map(loss: Any, student: Taps, teacher: Taps, label: Tensor) -> Tensor:
    pairs = zip(student, teacher, strict=True)
    return torch.stack([(attention(s, 4) - attention(t, 4)).square().sum() / len(s) for s, t in pairs]).sum()


def regions_of(label: Tensor, size: tuple[int, ...], classes: int, head: str) -> Tensor:
    """B × R × N: how much of a position belongs to the region."""
    if head == "softmax":
        parts = [label[:, 0] == k for k in range(classes)]
    else:
        parts = [label[:, k] == 1 for k in range(classes)]
        parts.append(~torch.stack(parts).any(0))
    return torch.stack([share_of_cells(part, size) for part in parts], 1)


def share_of_cells(part: Tensor, size: tuple[int, ...]) -> Tensor:
    """B × N: how much of the cell of each position of a tap a yes-or-no map covers."""
    cells = []
    for place in product(*(range(n) for n in size)):
        window = [slice(p * n // m, (p + 1) * n // m) for p, n, m in zip(place, part.shape[1:], size, strict=True)]
        cells.append(part[(slice(None), *window)].double().flatten(1).mean(1))
    return torch.stack(cells, 1)


@reference("region_affinity")
def region_affinity(loss: Any, student: Taps, teacher: Taps, label: Tensor) -> Tensor:
    total = torch.zeros((), dtype=student[0].dtype)
    for s, t in zip(student[1:], teacher[1:], strict=True):
        regions = regions_of(label, tuple(s.shape[2:]), student[0].shape[1], loss.head)
        apart = []
        for image in range(len(s)):
            present = [r for r in range(regions.shape[1]) if regions[image, r].any()]
            for i, j in combinations(present, 2):
                cosines = []
                for features in (s[image].flatten(1), t[image].flatten(1)):
                    a, b = (features @ regions[image, r].to(features) for r in (i, j))
                    cosines.append(a @ b / (a.norm() * b.norm()))
                apart.append((cosines[0] - cosines[1]) ** 2)
        if apart:
            total = total + torch.stack(apart).mean()
    return total


@reference("factor")
def factor(loss: Any, student: Taps, teacher: Taps, label: Tensor) -> Tensor:
    total = torch.zeros((), dtype=student[0].dtype)
    for translator, paraphraser, s, t in zip(loss.translators, loss.paraphrasers, student, teacher, strict=True):
        p_s, p_t = translator(s).flatten(1), paraphraser.encoder(t).flatten(1)
        apart = p_s / p_s.norm(dim=1, keepdim=True) - p_t / p_t.norm(dim=1, keepdim=True)
        total = total + apart.abs().mean()
    return total


@reference("variational_information")
def variational_information(loss: Any, student: Taps, teacher: Taps, label: Tensor) -> Tensor:
    total = torch.zeros((), dtype=student[0].dtype)
    for predictor, scale, s, t in zip(loss.predictors, loss.scales, student, teacher, strict=True):
        mean, variance = predictor(s), torch.log(1 + scale.exp()) + 1e-5
        parts = [(t[:, c] - mean[:, c]) ** 2 / variance[c] + variance[c].log() for c in range(t.shape[1])]
        total = total + torch.stack(parts).mean() / 2
    return total


@reference("overhaul")
def overhaul(loss: Any, student: Taps, teacher: Taps, label: Tensor) -> Tensor:
    total = torch.zeros((), dtype=student[0].dtype)
    for index, (connector, s, t) in enumerate(zip(loss.connectors, student, teacher, strict=True)):
        # the contract's taps come from no module: a standard normal's mean of negative values
        margin = torch.full_like(t, -math.sqrt(2 / math.pi))
        target, part = t.maximum(loss.margins[index][0].to(t)), connector(s)
        torch.testing.assert_close(loss.margins[index].double(), margin.flatten(2)[0, :, 0], rtol=1e-6, atol=0)
        counts = (part > target) | (target > 0)
        total = total + (part - target)[counts].square().sum() / t.numel() / 2 ** (len(student) - 1 - index)
    return total


def edges_at(label: Tensor, size: tuple[int, ...]) -> Tensor:
    """B × size: whether a border between values passes through the cells of a tap position."""
    found = torch.zeros(len(label), *label.shape[2:])
    for b, c in product(range(label.shape[0]), range(label.shape[1])):
        for place in product(*(range(n) for n in label.shape[2:])):
            around = label[b, c][tuple(slice(max(0, p - 1), p + 2) for p in place)]
            found[(b, *place)] = max(found[(b, *place)], float(around.max() != around.min()))
    cells = torch.zeros(len(label), *size)
    for b in range(len(label)):
        for place in product(*(range(n) for n in size)):
            window = tuple(
                slice(p * n // m, -(-(p + 1) * n // m)) for p, n, m in zip(place, label.shape[2:], size, strict=True)
            )
            cells[(b, *place)] = found[b][window].max()
    return cells


@reference("spatial_graph", {}, {"points": 3, "reach": 2.0})
def spatial_graph(loss: Any, student: Taps, teacher: Taps, label: Tensor) -> Tensor:
    s, t, apart = loss.adapter(student[0]), teacher[0], []
    size = tuple(t.shape[2:])
    for image, edge in enumerate(edges_at(label, size)):
        strength = {p: float(edge[p] * t[(image, slice(None), *p)].norm()) for p in product(*(range(n) for n in size))}
        peaks = [
            p
            for p, value in strength.items()
            if value > 0 and all(value >= v for q, v in strength.items() if max(map(abs, map(int.__sub__, p, q))) <= 2)
        ]
        peaks = sorted(peaks, key=strength.__getitem__, reverse=True)[: loss.points]
        rows = []
        for features in (
            s,
            t * (1 + edge.unsqueeze(1)[image].to(t)),
        ):  # the enhancement of the teacher's edges, literally
            v = torch.stack([features[(image, slice(None), *p)] for p in peaks])
            unit = v / v.norm(dim=1, keepdim=True)
            distance = torch.tensor([[math.dist(p, q) for q in peaks] for p in peaks], dtype=v.dtype)
            a = (unit @ unit.T / 0.1).softmax(1) * torch.exp(-(distance**2) / (2 * loss.reach**2))
            a = a / a.sum(1, keepdim=True)
            h = a @ (a @ v @ loss.weights[0]).relu() @ loss.weights[1]
            rows.append(h / h.norm(dim=1, keepdim=True).clamp_min(1e-6))
        apart += list((rows[0] - rows[1]).square().sum(1))
    return torch.stack(apart).mean() if apart else s.sum() * 0


def windows(features: Tensor, size: int) -> Tensor:
    """B × C × P²: cut out of the padded map, channel by channel."""
    padded = F.pad(features, [size // 2] * 2 * (features.ndim - 2))
    result = []
    for b, c in product(range(features.shape[0]), range(features.shape[1])):
        best = torch.unravel_index(features[b, c].argmax(), features.shape[2:])
        result.append(padded[b, c][tuple(slice(int(p), int(p) + size) for p in best)].flatten())
    return torch.stack(result).view(*features.shape[:2], -1)


def variations(loss: Any, student: Taps, teacher: Taps, edges: bool) -> Tensor:
    graphs = []
    for adapter, paraphraser, s, t in zip(loss.adapters, loss.paraphrasers, student, teacher, strict=True):
        pair = [windows(adapter(s), loss.window), windows(paraphraser(t), loss.window)]
        graphs.append([torch.einsum("bip,bjp->bij", v, v) for v in pair] if edges else pair)
    total = torch.zeros((), dtype=student[0].dtype)
    for (shallow_s, shallow_t), (deep_s, deep_t) in zip(graphs[::2], graphs[1::2], strict=True):
        total = total + ((deep_t - shallow_t) - (deep_s - shallow_s)).square().sum()
    return total


@reference("graph_vertices", {}, {"window": 3})
def graph_vertices(loss: Any, student: Taps, teacher: Taps, label: Tensor) -> Tensor:
    return variations(loss, student, teacher, edges=False)


@reference("graph_edges", {}, {"window": 3})
def graph_edges(loss: Any, student: Taps, teacher: Taps, label: Tensor) -> Tensor:
    return variations(loss, student, teacher, edges=True)


@reference("graph_adversarial", {}, {"objective": "lsgan"})
def graph_adversarial(loss: Any, student: Taps, teacher: Taps, label: Tensor) -> Tensor:
    scores = loss.discriminator(student[0].tanh())
    return -scores.mean() if loss.objective == "wgan-gp" else (scores - 1).square().mean()
