"""Key points on edges, the graph term and its guard against collapse; OFD's margins."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from kdseg.distill import Distiller
from kdseg.errors import UserError
from kdseg.losses import OverhaulLoss, SpatialGraphLoss
from kdseg.losses.ofd import negative_margin, partial_distance
from kdseg.losses.tinyunet import edge_map, key_points
from kdseg.networks import ThinUNet, UNet


def square_label(size: int = 32) -> torch.Tensor:
    label = torch.zeros(2, 1, size, size, dtype=torch.long)
    label[:, :, size // 4 : 3 * size // 4, size // 4 : 3 * size // 4] = 1
    return label


def test_a_thin_vessel_keeps_its_edge_at_an_eighth_of_the_size() -> None:
    label = torch.zeros(1, 1, 64, 64)
    label[..., 33] = 1
    edges = edge_map(label, (8, 8))
    assert edges[..., 4].eq(1).all() and edges.sum() == 8 * 1


def test_no_edge_beside_ignored_voxels() -> None:
    label = torch.zeros(1, 1, 8, 8)
    label[..., 4:] = 255
    assert edge_map(label, (8, 8)).sum() == 0
    assert edge_map(torch.full((1, 1, 8, 8), 255, dtype=torch.uint8), (4, 4)).sum() == 0


@pytest.mark.parametrize("dims", [2, 3])
def test_key_points_are_apart_and_on_edges(dims: int) -> None:
    torch.manual_seed(0)
    label = torch.zeros(1, 1, *[16] * dims)
    label[(..., *[slice(4, 12)] * dims)] = 1
    features = torch.rand(1, 3, *[16] * dims)
    edges = edge_map(label, [16] * dims)
    places, real = key_points(edges, features, 64)
    chosen = places[0][real[0]]
    assert 1 < len(chosen) <= 64 and edges.flatten()[chosen].eq(1).all()
    coordinates = torch.stack(torch.unravel_index(chosen, [16] * dims), 1)
    apart = (coordinates.unsqueeze(0) - coordinates.unsqueeze(1)).abs().amax(2) + 99 * torch.eye(len(chosen))
    assert apart.min() > 2


@pytest.mark.parametrize("guard", ["orthogonal", "edge_prediction"])
def test_fewer_edges_than_key_points_and_none_at_all(guard: str) -> None:
    torch.manual_seed(0)
    loss = SpatialGraphLoss(points=64, guard=guard)  # type: ignore[arg-type]
    student, teacher = torch.randn(2, 3, 4, 4, requires_grad=True), torch.randn(2, 5, 4, 4)
    loss.build([student.detach()], [teacher])
    one = torch.zeros(2, 1, 32, 32)
    one[0, :, 12, 12] = 1  # one image has a single point, the other none
    for label, positive in ((one, True), (torch.zeros_like(one), False), (torch.full_like(one, 255), False)):
        student.grad = None
        value = loss([student], [teacher], label)
        value.backward()
        assert value.isfinite() and student.grad.isfinite().all()
        assert (value.item() > 0) == positive
        assert student.grad[1].eq(0).all()


@pytest.mark.parametrize("guard", ["orthogonal", "edge_prediction"])
def test_the_term_does_not_collapse(guard: str) -> None:
    torch.manual_seed(0)
    loss = SpatialGraphLoss(guard=guard)  # type: ignore[arg-type]
    label = square_label()
    teacher = torch.randn(2, 8, 16, 16)
    trained = torch.randn(2, 4, 16, 16, requires_grad=True)
    loss.build([trained.detach()], [teacher])
    optimizer = torch.optim.Adam([trained, *(p for p in loss.parameters() if p.requires_grad)], lr=0.03)
    for _ in range(150):
        optimizer.zero_grad()
        loss([trained], [teacher], label).backward()
        optimizer.step()
    with torch.no_grad():
        random_value = loss([torch.randn(2, 4, 16, 16)], [teacher], label)
        trained_value = loss([trained], [teacher], label)
    # had the graph convolutions collapsed, both would be near zero
    assert random_value > 0.1
    assert trained_value < 0.5 * random_value


def test_margins_by_hand() -> None:
    # a standard normal's negative half has the mean -sqrt(2/pi); μ = 4σ is negative with less than 0.001
    margins = negative_margin(torch.tensor([0.0, 8.0, -1.0, 1.0]), torch.tensor([3.0, 2.0, 0.0, 0.0]))
    assert margins.tolist() == pytest.approx([-3 * math.sqrt(2 / math.pi), -6.0, -1.0, 0.0], rel=1e-6)
    torch.manual_seed(0)
    drawn = 0.5 + 2 * torch.randn(200_000, dtype=torch.float64)
    margin = negative_margin(torch.tensor([0.5]), torch.tensor([2.0])).item()
    assert margin == pytest.approx(drawn[drawn < 0].mean().item(), rel=0.01)


def test_partial_distance_lets_silent_channels_be() -> None:
    margin = torch.tensor([-1.0])
    for student, teacher, wanted in ((-5.0, -3.0, 0.0), (0.0, -3.0, 1.0), (-2.0, 1.0, 9.0), (3.0, 1.0, 4.0)):
        value = partial_distance(torch.tensor([[[student]]]), torch.tensor([[[teacher]]]), margin)
        assert value.item() == wanted


def test_margins_come_from_the_teachers_normalisation() -> None:
    torch.manual_seed(0)
    teacher = UNet(base_channels=8)
    for module in teacher.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight), nn.init.normal_(module.bias)
    distiller = Distiller(ThinUNet(), teacher, "tinyunet", head="sigmoid", probe_shape=(1, 1, 32, 32))
    loss = distiller.terms["features"]
    assert isinstance(loss, OverhaulLoss)
    for margin, norm in zip(loss.margins, (teacher.encoder[1].norm2, teacher.encoder[3].norm2), strict=True):
        torch.testing.assert_close(margin, negative_margin(norm.bias, norm.weight.abs()))
    assert not any("encoder" in name for name, _ in loss.named_modules()), "the teacher is no part of the loss"


def test_bad_settings_are_refused() -> None:
    with pytest.raises(UserError, match="orthogonal"):
        SpatialGraphLoss(guard="orthogonl")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="points"):
        SpatialGraphLoss(points=0)
    with pytest.raises(UserError, match="one deep tap"):
        SpatialGraphLoss().build([torch.rand(1, 2, 4, 4)] * 2, [torch.rand(1, 2, 4, 4)] * 2)
