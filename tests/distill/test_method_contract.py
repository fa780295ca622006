"""The contract that every loss and every method inherits; see contract.py for how to bring a new one under it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor

import tests.distill.references  # noqa: F401  fills the registry
from kdseg.distill import LOSSES
from kdseg.errors import UserError
from kdseg.losses import IGNORED, AdversarialLoss
from tests.distill.contract import REFERENCES, Case, MethodCase, Setting, loss_cases, method_cases, setting

every_loss = pytest.mark.parametrize("case", loss_cases(), ids=str)
every_method = pytest.mark.parametrize("case", method_cases(), ids=str)


def trained(loss: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The parts that the student's optimiser trains."""
    apart = {id(p) for p in loss.discriminator.parameters()} if isinstance(loss, AdversarialLoss) else set()
    return {name: p for name, p in loss.named_parameters() if p.requires_grad and id(p) not in apart}


def assert_finite(given: Setting, what: str, student: list[Tensor], teacher: list[Tensor], **other: Any) -> None:
    """Value and gradient are finite."""
    student = [x.detach().requires_grad_(x.is_floating_point()) for x in student]
    value = given.value(student, teacher, **other)
    assert value.isfinite(), f"{what}: value {value.item()}"
    if value.requires_grad:
        gradients = torch.autograd.grad(value, student, allow_unused=True)
        assert all(g.isfinite().all() for g in gradients if g is not None), f"{what}: a gradient that is not finite"


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_a_reference(name: str) -> None:
    assert name in REFERENCES, f"write the plain formula of {name!r} in tests/distill/references; see contract.py"


@every_loss
def test_equals_its_reference(case: Case) -> None:
    if case.name not in REFERENCES:
        pytest.skip("test_every_loss_has_a_reference tells")
    given = setting(case, double=True)
    given.loss.eval()
    value, plain = given.value(), REFERENCES[case.name](given.loss, given.student, given.teacher, given.label)
    assert value.ndim == 0 and value > -float("inf")
    torch.testing.assert_close(value, plain, rtol=1e-7, atol=1e-12)
    single = setting(case)
    single.loss.load_state_dict(given.loss.state_dict())
    single.loss.eval()
    value = single.value(
        [x.detach().float() for x in given.student], [x.float() for x in given.teacher], label=given.label
    )
    torch.testing.assert_close(value.double(), plain, rtol=1e-4, atol=1e-6)


@every_loss
def test_zero_where_student_equals_teacher(case: Case) -> None:
    given = setting(case)
    given.student = [x.clone().requires_grad_(True) for x in given.teacher]
    value = given.value()
    assert value.isfinite()
    if case.kind.zero_when_equal:
        apart = setting(case, seed=1).value()
        assert abs(value.item()) <= 1e-6 * max(1.0, abs(apart.item()))
        assert apart.item() > 0, "zero for different taps too"
    assert_finite(given, "student equals teacher", given.student, given.teacher)


@every_loss
def test_gradient_reaches_student_and_trained_parts(case: Case) -> None:
    given = setting(case, wide=True)
    value = given.value()
    value.backward()
    wanted = [x for x in given.student if x.requires_grad]
    assert any(x.grad is not None and x.grad.abs().sum() > 0 for x in wanted)
    for name, parameter in trained(given.loss).items():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, f"no gradient in {name}"
    for name, parameter in given.loss.named_parameters():
        if name not in trained(given.loss):
            assert parameter.grad is None, f"{name} is not the student's optimiser's and has a gradient"
    assert all(x.grad is None for x in given.teacher)
    if isinstance(given.loss, AdversarialLoss):
        torch.manual_seed(0)
        with torch.enable_grad():
            loss = given.loss.discriminator_loss([x.detach() for x in given.student], given.teacher, given.label)
        loss.backward()
        for name, parameter in given.loss.discriminator.named_parameters():
            # a bias before the normalisation of one image has none by nature
            assert parameter.grad is not None and parameter.grad.isfinite().all(), f"no gradient in {name}"


@every_loss
def test_gradient_is_the_derivative(case: Case) -> None:
    given = setting(case, double=True)
    given.loss.eval()
    moving = [x for x in given.student if x.requires_grad]

    def value(*taps: Tensor) -> Tensor:
        new = iter(taps)
        return given.value([next(new) if x.requires_grad else x for x in given.student])

    assert torch.autograd.gradcheck(value, moving, fast_mode=True, nondet_tol=0.0)


@every_loss
def test_finite_at_extremes(case: Case) -> None:
    given = setting(case)
    like = given.teacher
    taps = {
        "zeros": [torch.zeros_like(x) for x in like],
        "constant": [torch.ones_like(x) for x in like],
        "huge": [1e4 * x for x in like],
        "huge and opposite": [-1e4 * x for x in like],
        "normal": like,
    }
    for name_s, student in taps.items():
        for name_t, teacher in taps.items():
            assert_finite(given, f"student {name_s}, teacher {name_t}", student, teacher)


@every_loss
def test_labels_empty_and_ignored(case: Case) -> None:
    given = setting(case)
    empty, ignored, partly = torch.zeros_like(given.label), torch.full_like(given.label, IGNORED), given.label.clone()
    partly[0] = IGNORED
    partly[:, :, : partly.shape[2] // 2] = IGNORED
    one_class = torch.ones_like(given.label)
    labels = {"class absent": empty, "one class": one_class, "all ignored": ignored, "partly ignored": partly}
    for name, label in labels.items():
        assert_finite(given, name, given.student, given.teacher, label=label)
        assert_finite(given, f"{name}, float label", given.student, given.teacher, label=label.float())


@every_loss
def test_finite_in_bfloat16(case: Case) -> None:
    given = setting(case)
    with torch.autocast("cpu", torch.bfloat16):
        assert_finite(given, "autocast", given.student, given.teacher)


@every_loss
def test_batch_repetition(case: Case) -> None:
    given = setting(case, double=True)
    if not case.kind.batch_invariant:
        pytest.skip("the loss declares that it depends on the batch")
    student, teacher = ([torch.cat([x, x]) for x in taps] for taps in (given.student, given.teacher))
    twice = given.value(student, teacher, label=torch.cat([given.label, given.label]))
    torch.testing.assert_close(twice, given.value(), rtol=1e-7, atol=1e-10)


@every_loss
def test_state_is_saved_and_restored(case: Case) -> None:
    given, other = setting(case, seed=0), setting(case, seed=1)
    given.value(), given.value()  # whatever the loss remembers (banks, statistics) has moved
    other.loss.load_state_dict(given.loss.state_dict(), strict=True)
    given.loss.eval(), other.loss.eval()
    restored = other.value(given.student, given.teacher, label=given.label)
    assert torch.equal(given.value(), restored)


@every_loss
def test_smallest_batch_and_labels_are_enforced(case: Case) -> None:
    if case.kind.smallest_batch > 1:
        given = setting(case, batch=case.kind.smallest_batch - 1)
        with pytest.raises(UserError, match="batch"):
            given.value()
    if case.kind.needs_labels:
        given = setting(case)
        with pytest.raises(UserError, match="label"):
            given.value(label=None)


@pytest.mark.parametrize("name", LOSSES)
def test_compiles(name: str) -> None:
    case = next(case for case in loss_cases() if case.name == name)  # one of each: compiling is slow
    given = setting(case)
    plain = given.value()
    given = setting(case)
    torch._dynamo.reset()
    given.loss = torch.compile(given.loss, backend="eager")
    value = given.value()
    value.backward()
    torch.testing.assert_close(value, plain, rtol=1e-5, atol=1e-6)


@every_method
def test_method_step(case: MethodCase) -> None:
    distiller = case.distiller()
    before = {name: value.clone() for name, value in distiller.teacher.state_dict().items()}
    torch.manual_seed(0)
    image, label = case.image(), case.label()
    distiller.train()
    logits, values = distiller(image, distiller.teacher.taps(image), label)
    assert logits.shape == (case.batch, case.classes, *image.shape[2:])
    assert set(values) == set(distiller.weights)
    total = distiller.total(values)
    assert isinstance(total, Tensor) and total.isfinite()
    total.backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in distiller.student.parameters())
    student = {id(p) for p in distiller.student.parameters()}
    for parameter in distiller.trained_parameters():
        assert id(parameter) in student or parameter.grad is not None, "a trained part without gradient"
    assert all(p.grad is None and not p.requires_grad for p in distiller.teacher.parameters())
    assert all(torch.equal(value, before[name]) for name, value in distiller.teacher.state_dict().items())
    for _, term in distiller.adversaries():
        assert all(p.grad is None for p in term.discriminator.parameters())


@every_method
def test_method_in_bfloat16_is_finite(case: MethodCase) -> None:
    distiller = case.distiller()
    torch.manual_seed(0)
    image = case.image()
    with torch.autocast("cpu", torch.bfloat16):
        _, values = distiller(image, distiller.teacher.taps(image), case.label())
    assert all(value.isfinite() and value.dtype == torch.float32 for value in values.values())


@every_method
def test_method_is_zero_for_its_own_teacher(case: MethodCase) -> None:
    teacher = case.distiller().teacher.network
    distiller = case.distiller(student=copy.deepcopy(teacher), teacher=teacher)
    distiller.student.eval()
    torch.manual_seed(0)
    image = case.image()
    _, values = distiller(image, distiller.teacher.taps(image), case.label())
    for name, value in values.items():
        if distiller.terms[name].zero_when_equal:
            assert abs(value.item()) < 1e-5, name


@every_method
def test_method_state_is_saved_and_restored(case: MethodCase) -> None:
    first, second = case.distiller(seed=0), case.distiller(seed=1)
    second.load_state_dict(first.state_dict(), strict=True)
    first.eval(), second.eval()
    torch.manual_seed(0)
    image, label = case.image(), case.label()
    taps = first.teacher.taps(image)
    results = []
    for distiller in (first, second):
        torch.manual_seed(0)
        results.append(distiller(image, taps, label)[1])
    assert all(torch.equal(results[0][name], results[1][name]) for name in results[0])


# each loss is compiled above; these three have adapters, a discriminator, labels and opaque parts between them
@pytest.mark.parametrize("name", ["lightvessel", "graph_flow", "adaptive_affinity"])
def test_method_compiles(name: str) -> None:
    case = MethodCase(name, 2, "softmax")
    distiller = case.distiller()
    distiller.eval()
    torch.manual_seed(0)
    image, label = case.image(), case.label()
    taps = distiller.teacher.taps(image)
    torch.manual_seed(0)
    plain = distiller(image, taps, label)[1]
    torch._dynamo.reset()
    torch.manual_seed(0)
    compiled = torch.compile(distiller, backend="eager")(image, taps, label)[1]
    for name, value in compiled.items():
        torch.testing.assert_close(value, plain[name], rtol=1e-5, atol=1e-6)
