"""The exact relations against whole matrices in float64, where student and teacher nearly agree too."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from kdseg.losses.channel_products import channel_products
from kdseg.losses.relations import (
    batch_relations,
    class_relation_distance,
    cross_relation_distance,
    relation_distance,
    texture_distance,
)

# an odd size, and more positions than one chunk holds, so that the last chunk is a short one
SHAPES = [(2, 3, 7, 9), (2, 16, 37, 41), (1, 2, 5, 6, 7), (2, 40, 3, 3)]


def dense_relations(a: Tensor, b: Tensor, cosine: bool) -> Tensor:
    a, b = a.flatten(2), b.flatten(2)
    if cosine:
        a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
    return a.transpose(1, 2) @ b


def dense_distance(student: Tensor, teacher: Tensor, cosine: bool) -> Tensor:
    difference = dense_relations(student, student, cosine) - dense_relations(teacher, teacher, cosine)
    return difference.square().sum((1, 2)).mean() / difference.shape[1] ** 2


def dense_texture(student: Tensor, teacher: Tensor) -> Tensor:
    parts = [F.normalize(f.flatten(2), dim=2) for f in (student, teacher)]
    gram_s, gram_t = (f.transpose(1, 2) @ f / f.shape[1] for f in parts)
    return (gram_s - gram_t).square().sum((1, 2)).mean()


def relative_errors(
    exact: Callable[..., Tensor], dense: Callable[..., Tensor], s: Tensor, t: Tensor
) -> tuple[float, float]:
    """Of value and gradient: ``exact`` in float32 against ``dense`` in float64."""
    single, double = s.clone().requires_grad_(True), s.double().requires_grad_(True)
    value, plain = exact(single, t), dense(double, t.double())
    value.backward(), plain.backward()
    assert single.grad is not None and double.grad is not None
    error = (single.grad.double() - double.grad).norm() / double.grad.norm()
    return abs(value.double() - plain).item() / plain.item(), error.item()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("near", [False, True], ids=["apart", "near"])
@pytest.mark.parametrize("cosine", [False, True], ids=["product", "cosine"])
def test_self_relations_equal_the_dense_form(shape: tuple[int, ...], near: bool, cosine: bool) -> None:
    torch.manual_seed(0)
    s = torch.randn(shape)
    t = s + 1e-4 * torch.randn(shape) if near else torch.randn(shape[0], 2 * shape[1], *shape[2:])
    value, gradient = relative_errors(
        lambda a, b: relation_distance(a, b, cosine), lambda a, b: dense_distance(a, b, cosine), s, t
    )
    assert value < 1e-5 and gradient < 1e-5


@pytest.mark.parametrize("near", [False, True], ids=["apart", "near"])
def test_texture_equals_the_dense_form(near: bool) -> None:
    torch.manual_seed(0)
    s = torch.randn(2, 5, 13, 17)
    t = s + 1e-4 * torch.randn_like(s) if near else torch.randn(2, 9, 13, 17)
    value, gradient = relative_errors(texture_distance, dense_texture, s, t)
    assert value < 1e-5 and gradient < 1e-5


@pytest.mark.parametrize("cosine", [False, True], ids=["product", "cosine"])
@pytest.mark.parametrize("channels", [3, 70], ids=["channels", "pairs"])
def test_cross_relations_equal_the_dense_form(cosine: bool, channels: int) -> None:
    torch.manual_seed(0)
    a_s, b_s = (torch.randn(2, channels, 6, 7, dtype=torch.float64, requires_grad=True) for _ in range(2))
    a_t, b_t = (torch.randn(2, 5, 6, 7, dtype=torch.float64) for _ in range(2))
    value = cross_relation_distance(a_s, b_s, a_t, b_t, cosine)
    plain = (dense_relations(a_s, b_s, cosine) - dense_relations(a_t, b_t, cosine)).square().mean()
    torch.testing.assert_close(value, plain)
    for ours, theirs in zip(
        torch.autograd.grad(value, [a_s, b_s]), torch.autograd.grad(plain, [a_s, b_s]), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("channels", [3, 70], ids=["channels", "pairs"])
@pytest.mark.parametrize("near", [False, True], ids=["apart", "near"])
def test_classes_split_the_distance(channels: int, near: bool) -> None:
    torch.manual_seed(0)
    s = torch.randn(2, channels, 6, 8)
    t = s + 1e-4 * torch.randn_like(s) if near else torch.randn(2, 5, 6, 8)
    # positions of one class, of several, of a class that the second image lacks, and of none
    membership = torch.rand(2, 3, 48) * (torch.rand(2, 3, 48) > 0.5) / 3
    membership[0, :, :8] = torch.eye(3)[torch.arange(8) % 3].T
    membership[1, 2] = 0
    shares = membership.double()
    same = shares.transpose(1, 2) @ shares
    valid = shares.sum(1).unsqueeze(1) * shares.sum(1).unsqueeze(2)
    pairs = {"within": same, "between": valid - same}
    for index, mask in enumerate(pairs.values()):

        def dense(a: Tensor, b: Tensor, mask: Tensor = mask) -> Tensor:
            return ((dense_relations(a, a, True) - dense_relations(b, b, True)).square() * mask).sum()

        def exact(a: Tensor, b: Tensor, index: int = index) -> Tensor:
            return class_relation_distance(a, b, membership)[index].sum()

        value, gradient = relative_errors(exact, dense, s, t)
        assert value < 1e-5 and gradient < 1e-5
        torch.testing.assert_close(class_relation_distance(s, t, membership)[2 + index], mask.sum((1, 2)))


def test_products_have_the_right_gradient() -> None:
    torch.manual_seed(0)
    taps = [torch.randn(2, channels, 3, 4, dtype=torch.float64, requires_grad=True) for channels in (2, 3)]
    membership = torch.rand(2, 2, 12) * (torch.rand(2, 2, 12) > 0.3)
    for cosine in (False, True):
        assert torch.autograd.gradcheck(lambda a, b, cosine=cosine: channel_products([a, b], cosine), taps)
        assert torch.autograd.gradcheck(lambda a, b, cosine=cosine: channel_products([a, b], cosine, membership), taps)


def test_zero_vectors_have_no_gradient() -> None:
    s = torch.zeros(1, 2, 4, 4, requires_grad=True)
    relation_distance(s, torch.randn(1, 3, 4, 4), cosine=True).backward()
    assert s.grad is not None and s.grad.abs().sum() == 0


def test_channels_last_gives_the_same() -> None:
    torch.manual_seed(0)
    s, t = torch.randn(2, 3, 5, 6), torch.randn(2, 4, 5, 6)
    like = relation_distance(s.to(memory_format=torch.channels_last), t.to(memory_format=torch.channels_last))
    torch.testing.assert_close(like, relation_distance(s, t))


def test_a_part_of_the_features_may_be_frozen() -> None:
    s, t = torch.randn(1, 2, 4, 4, requires_grad=True), torch.randn(1, 3, 4, 4, requires_grad=True)
    relation_distance(s, t.detach()).backward()
    assert s.grad is not None and t.grad is None


def test_batch_relations() -> None:
    f = torch.randn(3, 2, 4, 5)
    torch.testing.assert_close(batch_relations(f), f.flatten(1).double() @ f.flatten(1).double().T)


def test_no_matrix_of_all_pairs_is_made() -> None:
    """At this size the dense form would need 40 GB."""
    s = torch.randn(1, 2, 256, 390, requires_grad=True)
    relation_distance(s, torch.randn(1, 3, 256, 390)).backward()
    assert s.grad is not None and s.grad.isfinite().all()
