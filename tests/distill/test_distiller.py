"""The distiller, and the defects that distillation code in the field has."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from kdseg.distill import Distiller, Teacher
from kdseg.errors import UserError
from kdseg.losses import LogitsLoss, SegmentationLoss, gradient_penalty, logits_distillation
from kdseg.losses.overlap import soft_dice_distance
from tests.distill.contract import Case, SmallNet, setting


def distiller(method: Any = "lightvessel", **other: Any) -> Distiller:
    torch.manual_seed(0)
    teacher = SmallNet(widths=(4, 6, 8, 8))
    return Distiller(SmallNet(), teacher, method, probe_shape=(1, 1, 32, 32), **other)


def test_the_teacher_is_outside_of_the_module_tree() -> None:
    built = distiller()
    built.train()
    assert not built.teacher.network.training
    assert not any("teacher" in key and "bridges" not in key for key in built.state_dict())
    own = {id(p) for p in built.parameters()}
    assert not own & {id(p) for p in built.teacher.parameters()}


def test_the_probe_leaves_no_trace() -> None:
    student = SmallNet()
    before = {name: value.clone() for name, value in student.state_dict().items()}
    Distiller(student, SmallNet(), "kd", probe_shape=(1, 1, 32, 32))
    assert student.training
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())


def test_parametric_parts_are_trained_and_the_discriminator_is_not_among_them() -> None:
    built = distiller("adaptive_affinity", method_args={"field": {"weight": 1.0, "half_sizes": (1, 2)}})
    names = {name for name, p in built.named_parameters() if any(p is q for q in built.trained_parameters())}
    assert any("adapters" in name for name in names) and any("edge_weights" in name for name in names)
    built = distiller("skds")
    apart = {id(p) for _, term in built.adversaries() for p in term.discriminator.parameters()}
    assert apart and not apart & {id(p) for p in built.trained_parameters()}


def test_optional_terms_are_left_out_and_told_where_there_are_no_features(caplog: pytest.LogCaptureFixture) -> None:
    built = distiller("recommended")
    assert list(built.terms) == ["logits", "overlap", "features", "spatial"] and not caplog.records
    plain, ensemble = nn.Conv2d(1, 2, 3, padding=1), Teacher(SmallNet(), only_logits="an ensemble")
    for student, teacher in ((SmallNet(), ensemble), (plain, SmallNet()), (SmallNet(), nn.Conv2d(1, 2, 1))):
        caplog.clear()
        built = Distiller(student, teacher, "recommended", probe_shape=(1, 1, 32, 32))
        assert list(built.terms) == list(built.method.terms) == list(built.weights) == ["logits", "overlap"]
        assert "features, spatial" in caplog.text
    with pytest.raises(UserError, match="an ensemble, which gives logits only"):
        Distiller(SmallNet(), ensemble, "tinyunet", probe_shape=(1, 1, 32, 32))


def test_a_tap_can_serve_two_terms() -> None:
    term = {"loss": "texture", "taps": ["enc2"]}
    built = distiller({"a": term, "b": dict(term), "c": {"loss": "gram", "taps": ["enc2", "enc2"]}})
    image = torch.randn(2, 1, 32, 32)
    _, values = built(image, built.teacher.taps(image))
    assert torch.equal(values["a"], values["b"])
    assert all(value.isfinite() and value.requires_grad for value in values.values())


def test_divergence_does_not_depend_on_size_and_sums_classes() -> None:
    student, teacher = torch.randn(1, 3, 4, 4), torch.randn(1, 3, 4, 4)
    small = logits_distillation(student, teacher)
    torch.testing.assert_close(logits_distillation(student.repeat(1, 1, 3, 3), teacher.repeat(1, 1, 3, 3)), small)
    # a class that nobody predicts changes nothing: division by the number of classes would
    empty = torch.full((1, 1, 4, 4), -50.0)
    more = logits_distillation(torch.cat([student, empty], 1), torch.cat([teacher, empty], 1))
    torch.testing.assert_close(more, small)


def test_temperature_keeps_the_size_of_the_gradient() -> None:
    sizes = []
    for temperature in (4.0, 8.0):
        student = (0.1 * torch.ones(1, 2, 4, 4) * torch.tensor([1.0, -1.0]).view(1, 2, 1, 1)).requires_grad_(True)
        logits_distillation(student, torch.zeros(1, 2, 4, 4), temperature).backward()
        assert student.grad is not None
        sizes.append(student.grad.norm())
    torch.testing.assert_close(sizes[0], sizes[1], rtol=0.02, atol=0)


def test_ignored_voxels_can_be_left_out_of_the_logits_term() -> None:
    student, teacher, label = torch.randn(1, 2, 4, 4), torch.randn(1, 2, 4, 4), torch.zeros(1, 1, 4, 4)
    label[..., 2:] = 255
    loss = LogitsLoss(use_ignored=False)
    value = loss([student], [teacher], label)
    torch.testing.assert_close(value, loss([student[..., :2]], [teacher[..., :2]], label[..., :2]))


def test_gradient_penalty_by_hand() -> None:
    """A linear critic 3x + 4y has the gradient norm 5 everywhere: (5 − 1)² = 16."""
    linear = nn.Linear(2, 1)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[3.0, 4.0]]))
    critic = nn.Sequential(nn.Flatten(), linear)
    penalty = gradient_penalty(critic, torch.randn(3, 2, 1, 1), torch.randn(3, 2, 1, 1))
    torch.testing.assert_close(penalty, torch.tensor(16.0))
    penalty.backward()  # ∂/∂w (‖w‖ − 1)² = 2 (‖w‖ − 1) w / ‖w‖
    torch.testing.assert_close(linear.weight.grad, torch.tensor([[4.8, 6.4]]))


def test_the_critic_loss_by_hand() -> None:
    given = setting(Case("image_adversarial", {}, 2, "softmax"))
    linear = nn.Linear(4 * 64, 1)
    given.loss.discriminator = nn.Sequential(nn.Flatten(), linear)
    given.loss.penalty = 0.0
    real, fake = given.loss.pair(given.teacher, None), given.loss.pair(given.student, None)
    by_hand = linear(fake.flatten(1)).mean() - linear(real.flatten(1)).mean()
    torch.testing.assert_close(given.loss.discriminator_loss(given.student, given.teacher), by_hand)
    torch.testing.assert_close(given.value(), -linear(fake.flatten(1)).mean())


def test_affinity_field_weights_ascend() -> None:
    given = setting(Case("affinity_field", {}, 2, "softmax"))
    before = given.value()
    optimiser = torch.optim.SGD([given.loss.edge_weights, given.loss.other_weights], lr=1.0)
    for _ in range(3):
        optimiser.zero_grad()
        given.value().backward()
        optimiser.step()
    assert given.value() > before


def test_kd_moves_the_labels_towards_the_teacher_and_keeps_their_balance() -> None:
    """``Dice(p, y) + (1 − α)·CE(p, y) + α·CE(p, p_T) + β·D(p, p_T)``; where nothing is labelled the last two."""
    built = distiller("kd").eval()
    image, label = torch.randn(2, 1, 32, 32), torch.randint(0, 2, (2, 1, 32, 32))
    taps = built.teacher.taps(image)
    q, supervised = taps["logits"].softmax(1), SegmentationLoss()
    for y in (label, torch.full_like(label, 255)):
        logits, values = built(image, taps, y)
        p, total = logits.softmax(1), supervised(logits, y) + built.total(values)
        unlabelled = 0.5 * -(q * p.log()).sum(1).mean() + soft_dice_distance(p, q)
        dice = supervised(logits, y) - SegmentationLoss(dice_weight=0)(logits, y)
        labelled = dice + 0.5 * SegmentationLoss(dice_weight=0)(logits, y)
        torch.testing.assert_close(total, unlabelled + (labelled if y is label else supervised(logits, y)))


def test_the_critics_penalty_and_the_students_term_have_one_scale() -> None:
    """A critic of one score a patch: more patches change neither the penalty nor the student's gradient's length."""
    lengths, penalties = [], []
    for patches in (1, 16):
        critic = nn.Conv2d(1, 1, 4, stride=4, bias=False)
        nn.init.constant_(critic.weight, patches**0.5)
        image = torch.randn(2, 1, 4, 4 * patches)
        penalties.append(gradient_penalty(critic, image, torch.randn_like(image)).item())
        image.requires_grad_(True)
        (gradient,) = torch.autograd.grad(critic(image).flatten(1).mean(1).sum(), image)
        lengths.append(gradient.flatten(1).norm(dim=1).mean().item())
    # a gradient of length 4 either way: (4 − 1)² = 9
    assert lengths == pytest.approx([4.0, 4.0]) and penalties == pytest.approx([9.0, 9.0])


def test_mistakes_are_told_before_training() -> None:
    with pytest.raises(UserError, match="same classes"):
        Distiller(SmallNet(classes=2), SmallNet(classes=3), "kd", probe_shape=(1, 1, 32, 32))
    with pytest.raises(UserError, match="probe_shape"):
        Distiller(SmallNet(), SmallNet(), "kd", probe_shape=(1, 3, 32, 32))
    with pytest.raises(UserError, match="did you mean 'enc3'"):
        distiller({"mine": {"loss": "texture", "taps": ["enc33"]}})
    with pytest.raises(UserError, match="pairs"):
        distiller({"mine": {"loss": "flow", "taps": ["enc1"]}})
    with pytest.raises(UserError, match="half_sizes"):
        distiller({"mine": {"loss": "affinity_field", "half_sizes": (40,)}})


def test_total_weighs_the_terms() -> None:
    built = distiller("adaptive_affinity", method_args={"gram": {"weight": 2.0}, "affinity": {"weight": 0}})
    built.weights["logits"] = 3.0
    assert built.total({"logits": torch.tensor(1.0), "gram": torch.tensor(1.0)}) == pytest.approx(3.0 + 2.0)
