"""References of the relational losses: whole matrices and loops."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from tests.distill.contract import reference
from tests.distill.references.features import share_of_cells


def cosines(tap: Tensor) -> Tensor:
    vectors = tap.flatten(2) / tap.flatten(2).norm(dim=1, keepdim=True)
    return vectors.transpose(1, 2) @ vectors


def memberships(label: Tensor, size: tuple[int, ...]) -> list[Tensor]:
    """For each combination of the label's channels ``B × N``: how much of a position has it."""
    found = sorted({tuple(column.tolist()) for column in label.movedim(1, -1).flatten(0, -2)})
    return [share_of_cells((label.movedim(1, -1) == torch.tensor(c)).all(-1), size) for c in found]


@reference("adaptive_affinity")
def adaptive_affinity(loss: Any, student: list[Tensor], teacher: list[Tensor], label: Tensor) -> Tensor:
    squares = (cosines(student[0]) - cosines(teacher[0])).square()
    classes = memberships(label, tuple(student[0].shape[2:]))
    images = []
    for image, square in enumerate(squares):
        # two positions are of one class by the product of their shares
        pairs = torch.stack([m[image].outer(m[image]) for m in classes]).sum(0).to(square)
        share = pairs.mean()
        within, between = (square * pairs).sum() / pairs.sum(), (square * (1 - pairs)).sum() / (1 - pairs).sum()
        images.append((1 - share) * within + share * between)
    return torch.stack(images).mean()


@reference("affinity_field", {}, {"half_sizes": (1, 3), "margin": 1.0})
def affinity_field(loss: Any, student: list[Tensor], teacher: list[Tensor], label: Tensor) -> Tensor:
    z = student[0]
    p = z.softmax(1) if loss.head == "softmax" else z.sigmoid()
    truth = label if loss.head == "sigmoid" else torch.stack([label[:, 0] == k for k in range(z.shape[1])], 1).long()
    size, dims = z.shape[2], z.ndim - 2
    total = p.new_zeros(())
    for k in range(z.shape[1]):
        for s in loss.half_sizes:
            at_edges, elsewhere = [], []
            for offset in product((-s, 0, s), repeat=dims):
                if not any(offset):
                    continue
                inside = [range(max(0, -o), min(size, size - o)) for o in offset]
                here = tuple(torch.tensor(list(product(*inside))).T)
                there = tuple(index + o for index, o in zip(here, offset, strict=True))
                p_i, p_j = p[:, k][(slice(None), *here)], p[:, k][(slice(None), *there)]
                divergence = p_j * (p_j / p_i).log() + (1 - p_j) * ((1 - p_j) / (1 - p_i)).log()
                differs = truth[:, k][(slice(None), *here)] != truth[:, k][(slice(None), *there)]
                at_edges.append((loss.margin - divergence[differs]).clamp_min(0))
                elsewhere.append(divergence[~differs])
            # untrained, every size has the same weight
            total = total + (torch.cat(at_edges).mean() + torch.cat(elsewhere).mean()) / len(loss.half_sizes)
    return total / z.shape[1]


@reference("gram", {}, {"gram_axis": "spatial"})
def gram(loss: Any, student: list[Tensor], teacher: list[Tensor], label: Tensor) -> Tensor:
    s, t = student[0].flatten(2), teacher[0].flatten(2)
    if loss.gram_axis == "spatial":
        s, t = s.transpose(1, 2), t.transpose(1, 2)
    grams = zip(s @ s.transpose(1, 2), t @ t.transpose(1, 2), strict=True)
    return torch.stack([(gram_s - gram_t).norm() ** 2 / gram_t.norm() ** 2 for gram_s, gram_t in grams]).mean()


@reference("flow")
def flow(loss: Any, student: list[Tensor], teacher: list[Tensor], label: Tensor) -> Tensor:
    flows = [torch.einsum("bip,bjp->bij", a.flatten(2), b.flatten(2)) / a[0, 0].numel() for a, b in (student, teacher)]
    return (flows[0] - flows[1]).square().mean()


@reference("texture")
def texture(loss: Any, student: list[Tensor], teacher: list[Tensor], label: Tensor) -> Tensor:
    grams = []
    for tap in (student[0], teacher[0]):
        unit = tap.flatten(2) / tap.flatten(2).norm(dim=2, keepdim=True)
        grams.append(unit.transpose(1, 2) @ unit / tap.shape[1])
    return (grams[0] - grams[1]).square().sum((1, 2)).mean()


@reference("pairwise", {}, {"pool": 0.0}, {"pool": 0.3})
def pairwise(loss: Any, student: list[Tensor], teacher: list[Tensor], label: Tensor) -> Tensor:
    affinities = []
    for tap in (student[0], teacher[0]):
        window = int(tap.shape[2] * loss.pool)
        if window > 1:
            pool = F.max_pool2d if tap.ndim == 4 else F.max_pool3d
            tap = pool(tap, window, window, ceil_mode=True)
        affinities.append(cosines(tap))
    return (affinities[0] - affinities[1]).square().mean()


@reference("batch_similarity")
def batch_similarity(loss: Any, student: list[Tensor], teacher: list[Tensor], label: Tensor) -> Tensor:
    rows = []
    for tap in (student[0], teacher[0]):
        products = tap.flatten(1) @ tap.flatten(1).T
        rows.append(products / products.norm(dim=1, keepdim=True))
    return (rows[0] - rows[1]).square().sum() / len(student[0])


@reference("relational", {"relation": "distance"}, {"relation": "angle"})
def relational(loss: Any, student: list[Tensor], teacher: list[Tensor], label: Tensor) -> Tensor:
    results = []
    for tap in (student[0], teacher[0]):
        x = tap.flatten(2).mean(2)
        n = len(x)
        if loss.relation == "distance":
            distances = torch.stack([(x[i] - x[j]).norm() for i in range(n) for j in range(n)])
            results.append(distances / (distances.sum() / (n * (n - 1))))
        else:
            angles = []
            for i, j, k in product(range(n), repeat=3):
                a, b = x[j] - x[i], x[k] - x[i]
                angles.append(a @ b / (a.norm() * b.norm()) if i not in (j, k) else a.sum() * 0)
            results.append(torch.stack(angles))
    difference = (results[0] - results[1]).abs()
    return torch.where(difference < 1, difference.square() / 2, difference - 0.5).mean()


@reference("class_variation")
def class_variation(loss: Any, student: list[Tensor], teacher: list[Tensor], label: Tensor) -> Tensor:
    total, count = student[0].new_zeros(()), 0.0
    for member in memberships(label, tuple(student[0].shape[2:])):
        variations = []
        for tap in (student[0], teacher[0]):
            vectors = tap.flatten(2)
            centre = (vectors * member.unsqueeze(1)).sum(2, keepdim=True) / member.sum(1).view(-1, 1, 1)
            # a class that is not in an image has no centre there, and no position
            variations.append(F.cosine_similarity(vectors, centre.nan_to_num(), dim=1))
        total = total + ((variations[0] - variations[1]).square() * member).sum()
        count += member.sum()
    return total / count


@reference("channel", {}, {"temperature": 1.0})
def channel(loss: Any, student: list[Tensor], teacher: list[Tensor], label: Tensor) -> Tensor:
    p, q = ((tap.flatten(2) / loss.temperature).softmax(2) for tap in (teacher[0], student[0]))
    batch, channels = p.shape[:2]
    return loss.temperature**2 / (batch * channels) * (p * (p / q).log()).sum()


@reference("cross_image", {}, {"temperature": 1.0})
def cross_image(loss: Any, student: list[Tensor], teacher: list[Tensor], label: Tensor) -> Tensor:
    s, t = (tap.flatten(2) / tap.flatten(2).norm(dim=1, keepdim=True) for tap in (student[0], teacher[0]))
    pairs = []
    for i, j in product(range(len(s)), repeat=2):
        q, p = (s[i].T @ s[j] / loss.temperature).softmax(1), (t[i].T @ t[j] / loss.temperature).softmax(1)
        pairs.append((p * (p / q).log()).sum(1).mean())
    return torch.stack(pairs).mean()


@reference("memory", {"memory": "pixel", "entries": 5, "draws": 4}, {"memory": "region", "temperature": 1.0})
def memory(loss: Any, student: list[Tensor], teacher: list[Tensor], label: Tensor) -> Tensor:
    keys = loss.keys.flatten(0, 1)[loss.filled.flatten()]
    total = []
    for s, t in zip(student[0], teacher[0], strict=True):
        s, t = ((x.flatten(1) / x.flatten(1).norm(dim=0)).T for x in (s, t))
        q, p = (s @ keys.T / loss.temperature).softmax(1), (t @ keys.T / loss.temperature).softmax(1)
        total.append((p * (p / q).log()).sum(1).mean())
    return torch.stack(total).mean()


@reference("image_adversarial", {}, {"objective": "lsgan"})
def image_adversarial(loss: Any, student: list[Tensor], teacher: list[Tensor], label: Tensor) -> Tensor:
    p = student[0].softmax(1) if loss.head == "softmax" else student[0].sigmoid()
    scores = loss.discriminator(torch.cat([p, student[1]], 1))[-1]
    return -scores.mean() if loss.objective == "wgan-gp" else (scores - 1).square().mean()
