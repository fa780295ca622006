"""Salient windows, variation graphs and the adversarial term of Graph Flow."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kdseg.errors import UserError
from kdseg.losses import GraphAdversarialLoss, GraphEdgeLoss, GraphVertexLoss
from kdseg.losses.graph_flow import salient_windows
from kdseg.networks.paraphraser import Paraphraser


def peak(size: tuple[int, ...], *places: tuple[int, ...]) -> Tensor:
    """One image whose channel c is highest at ``places[c]``, with low noise elsewhere."""
    torch.manual_seed(0)
    features = torch.rand(1, len(places), *size)
    for channel, place in enumerate(places):
        features[(0, channel, *place)] = 5.0
    return features


@pytest.mark.parametrize("kind", [GraphVertexLoss, GraphEdgeLoss])
@pytest.mark.parametrize(("size", "places"), [((12, 12), [(2, 3), (9, 8)]), ((8, 8, 8), [(3, 3, 2), (6, 5, 4)])])
def test_gradient_reaches_only_the_salient_windows(kind: type, size: tuple[int, ...], places: list) -> None:
    student = [peak(size, *places).requires_grad_(), peak(size, *places[::-1]).requires_grad_()]
    teacher = [torch.rand(1, 2, *size), torch.rand(1, 2, *size)]
    loss = kind(window=3)
    loss.build(student, teacher)
    loss(student, teacher).backward()
    for features, centres in zip(student, (places, places[::-1]), strict=True):
        wanted = torch.zeros(1, 2, *size, dtype=torch.bool)
        for channel, place in enumerate(centres):
            wanted[(0, channel, *(slice(p - 1, p + 2) for p in place))] = True
        assert torch.equal(features.grad != 0, wanted)


def test_windows_at_the_border_and_beyond_the_map_are_zero_padded() -> None:
    features = peak((4, 4), (0, 0))
    window = salient_windows(features, 3).view(3, 3)
    assert window[0].eq(0).all() and window[:, 0].eq(0).all()
    assert torch.equal(window[1:, 1:], features[0, 0, :2, :2])
    tiny = torch.tensor([[[[1.0, 2.0], [0.0, -1.0]]]])
    window = salient_windows(tiny, 9).view(9, 9)
    assert torch.equal(window[4:6, 3:5], tiny[0, 0]) and window.ne(0).sum() == 3


def test_paraphraser_only_where_widths_differ_and_zero_at_equality_without() -> None:
    features = [torch.rand(2, 4, 8, 8), torch.rand(2, 4, 8, 8)]
    for loss in (GraphVertexLoss(window=3), GraphEdgeLoss(window=3)):
        loss.build(features, features)
        assert loss(features, features).item() == 0
    loss = GraphVertexLoss()
    loss.build([torch.rand(1, 3, 8, 8), torch.rand(1, 4, 8, 8)], [torch.rand(1, 4, 8, 8), torch.rand(1, 6, 8, 8)])
    kinds = [type(p) for p in loss.paraphrasers]
    assert kinds == [torch.nn.Identity, Paraphraser]
    assert loss.paraphrasers[1].code_channels == 4
    assert not any(p.requires_grad for p in loss.paraphrasers.parameters())


def test_three_pairs_add_up() -> None:
    torch.manual_seed(0)
    pairs = [([torch.rand(1, 2, 8, 8) for _ in range(2)], [torch.rand(1, 2, 8, 8) for _ in range(2)]) for _ in range(3)]
    single = []
    for student, teacher in pairs:
        loss = GraphVertexLoss()
        loss.build(student, teacher)
        single.append(loss(student, teacher))
    student, teacher = [x for s, _ in pairs for x in s], [x for _, t in pairs for x in t]
    loss = GraphVertexLoss()
    loss.build(student, teacher)
    torch.testing.assert_close(loss(student, teacher), sum(single))


def test_bad_settings_are_refused() -> None:
    with pytest.raises(UserError, match="an odd number"):
        GraphVertexLoss(window=4)
    with pytest.raises(UserError, match="pairs"):
        GraphEdgeLoss().build([torch.rand(1, 2, 4, 4)], [torch.rand(1, 2, 4, 4)])
    with pytest.raises(UserError, match="a multiple of 2"):
        GraphAdversarialLoss(channels=3)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_thin_discriminator_has_the_same_stages(dims: int) -> None:
    logits = [torch.randn(2, 1, *[16] * dims)]
    weights = {}
    for channels in (8, 64):
        loss = GraphAdversarialLoss(channels=channels)
        loss.build(logits, logits)
        assert torch.isfinite(loss(logits, logits)) and torch.isfinite(loss.discriminator_loss(logits, logits))
        weights[channels] = [tuple(weight.shape) for weight in loss.discriminator.parameters() if weight.ndim > 1]
    assert len(weights[8]) == len(weights[64])
    assert weights[8][0][0] == 8 and weights[64][0][0] == 64


def test_the_student_step_does_not_move_the_discriminator() -> None:
    torch.manual_seed(0)
    loss = GraphAdversarialLoss()
    student, teacher = [torch.randn(2, 1, 32, 32)], [torch.randn(2, 1, 32, 32)]
    loss.build(student, teacher)
    loss.train()
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    first = loss(student, teacher)
    assert torch.equal(first, loss(student, teacher))
    assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())
    loss.discriminator_loss(student, teacher).backward()
    moved = [name for name, value in loss.state_dict().items() if not torch.equal(value, before[name])]
    assert moved and all("parametrizations" in name for name in moved), "the norms move in the discriminator's own step"


def test_the_game_can_be_won_by_either_side() -> None:
    torch.manual_seed(0)
    loss = GraphAdversarialLoss()
    logits, teacher = torch.randn(4, 1, 8, 8, requires_grad=True), [torch.ones(4, 1, 8, 8) * 2]
    loss.build([logits.detach()], teacher)
    optimizer = torch.optim.Adam(loss.discriminator.parameters(), lr=1e-3)
    values = []
    for _ in range(20):
        optimizer.zero_grad()
        value = loss.discriminator_loss([logits.detach()], teacher)
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < values[0]
    student = torch.optim.SGD([logits], lr=10.0)
    first = loss([logits], teacher)
    first.backward()
    student.step()
    assert loss([logits], teacher) < first
