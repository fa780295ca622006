"""References of the logits and LightVessel losses."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.distill.contract import reference


@reference("logits", {}, {"temperature": 4.0})
def logits(loss: Any, student: list[Tensor], teacher: list[Tensor], label: Tensor) -> Tensor:
    z_s, z_t = student[0] / loss.temperature, teacher[0] / loss.temperature
    if loss.head == "softmax":
        p, q = z_t.softmax(1), z_s.softmax(1)
        divergence = (p * (p / q).log()).sum(1)
    else:
        p, q = z_t.sigmoid(), z_s.sigmoid()
        divergence = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).sum(1)
    return loss.temperature**2 * divergence.mean()


@reference("overlap")
def overlap(loss: Any, student: list[Tensor], teacher: list[Tensor], label: Tensor) -> Tensor:
    p, q = (z[0].softmax(1) if loss.head == "softmax" else z[0].sigmoid() for z in (student, teacher))
    values = []
    for p_map, q_map in zip(p.flatten(0, 1), q.flatten(0, 1), strict=True):
        values.append((p_map - q_map).abs().sum() / (p_map.sum() + q_map.sum() + 1e-5))
    return torch.stack(values).mean()


@reference("soft_labels")
def soft_labels(loss: Any, student: list[Tensor], teacher: list[Tensor], label: Tensor) -> Tensor:
    z, entropies = student[0], []
    if loss.head == "softmax":
        truth = torch.stack([label[:, 0] == k for k in range(z.shape[1])], 1)
        for target in (teacher[0].softmax(1), truth):
            entropies.append(-(z.softmax(1).log() * target).sum(1).mean())
    else:
        for target in (teacher[0].sigmoid(), label):
            entropies.append(-(z.sigmoid().log() * target + (-z).sigmoid().log() * (1 - target)).mean())
    return entropies[0] - entropies[1]


@reference("feature_similarity", {}, {"similarity": "cross"})
def feature_similarity(loss: Any, student: list[Tensor], teacher: list[Tensor], label: Tensor) -> Tensor:
    total = torch.zeros((), dtype=student[0].dtype)
    for level in range(len(student) // 2):
        e_s, d_s, e_t, d_t = student[2 * level], student[2 * level + 1], teacher[2 * level], teacher[2 * level + 1]
        e_s, d_s, e_t, d_t = (x.flatten(2) / x.flatten(2).norm(dim=1, keepdim=True) for x in (e_s, d_s, e_t, d_t))
        if loss.similarity == "symmetric":
            total = total + ((e_s * d_s).sum(1) - (e_t * d_t).sum(1)).square().mean()
        else:
            total = total + (e_s.transpose(1, 2) @ d_s - e_t.transpose(1, 2) @ d_t).square().mean()
    return total


@reference("adversarial_similarity", {}, {"objective": "lsgan"})
def adversarial_similarity(loss: Any, student: list[Tensor], teacher: list[Tensor], label: Tensor) -> Tensor:
    z = student[0]
    if loss.head == "softmax":
        truth = torch.stack([label[:, 0] == k for k in range(z.shape[1])], 1)
        seen = torch.cat([truth.to(z), z.softmax(1)], 1)
    else:
        seen = torch.cat([label.to(z), z.sigmoid()], 1)
    scores = loss.discriminator(seen)[-1]
    return -scores.mean() if loss.objective == "wgan-gp" else (scores - 1).square().mean()
