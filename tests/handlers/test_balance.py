"""Weights that follow the supervised gradient, weights that change, and the warning about a term that dominates."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from ignite.engine import Events
from torch.utils.data import DataLoader

from kdseg.distill import METHODS, gradient_norms
from kdseg.engines import loss_terms
from kdseg.errors import UserError
from kdseg.handlers import ReproducibleEpochs, TermWeights
from tests.tiny import discriminator_step, distiller, images, trainer


def _run(distilled: Any, handlers: list[Any], epochs: int = 2, steps: int = 2) -> list[dict[str, float]]:
    """The parts of the loss at every step."""
    seen: list[dict[str, float]] = []
    engine = trainer(distilled, epochs=epochs, steps=steps, handlers=[ReproducibleEpochs(0), *handlers])
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda e: seen.append(loss_terms(e.state.output)))
    engine.run()
    return seen


def test_lengths_of_gradients_by_hand() -> None:
    weight, other = torch.ones(3, requires_grad=True), torch.ones(2, requires_grad=True)
    parts = {"a": (weight * torch.tensor([0.0, 3.0, 4.0])).sum(), "b": 2 * other[0], "constant": torch.tensor(1.0)}
    assert gradient_norms(parts, [weight, other], scale=1024.0) == {"a": 5.0, "b": 2.0, "constant": 0.0}
    assert gradient_norms({"a": weight.sum() * float("inf")}, [weight]) is None
    assert weight.grad is None
    parts["a"].backward()  # the graph is still there


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_term_has_its_share_of_the_supervised_gradient(method: str) -> None:
    distilled = distiller(method, method_args={name: {"schedule": "constant"} for name in METHODS[method].terms})
    shares = {name: term.share for name, term in distilled.method.terms.items()}
    weights = TermWeights(distilled)
    engine = trainer(distilled, epochs=1, steps=1, handlers=[weights, discriminator_step(distilled)])
    engine.data_loader = DataLoader(images(4), batch_size=4)  # type: ignore[arg-type]
    engine.run()
    first, lengths = loss_terms(engine.state.output), weights.lengths
    for name, share in shares.items():
        if share is not None and name in lengths:
            assert first[f"{name}_gradient"] == pytest.approx(share, rel=1e-4)
            assert first[f"{name}_weight"] == pytest.approx(share * lengths["supervised"] / lengths[name])
    total = first["supervised"] + sum(first[f"{name}_weight"] * first[name] for name in shares)
    assert first["loss"] == pytest.approx(total, rel=1e-4)


def test_the_gradient_of_the_whole_step_has_the_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the optimiser gets is the supervised gradient and half as much of the term's."""
    gradients = {}
    for method_args in ({"features": {"share": 0.5}}, {"features": {"weight": 1e-30}}):
        distilled = distiller("fitnet", method_args=method_args)
        engine = trainer(distilled, epochs=1, steps=1, handlers=[ReproducibleEpochs(0), TermWeights(distilled)])
        monkeypatch.setattr(engine.optimizer, "step", lambda: None)
        engine.run()
        found = [torch.zeros_like(p) if p.grad is None else p.grad for p in distilled.student.parameters()]
        gradients["share" in method_args["features"]] = torch.cat([gradient.flatten() for gradient in found])
    term = gradients[True] - gradients[False]
    assert term.norm() / gradients[False].norm() == pytest.approx(0.5, rel=1e-3)


def test_measurements_are_smoothed_and_far_between(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[dict[str, float]] = []

    def norms(parts: Any, parameters: Any, scale: float) -> dict[str, float]:
        measured.append({"supervised": 1.0, "features": 10.0 ** len(measured)})
        return measured[-1]

    monkeypatch.setattr("kdseg.handlers.balance.gradient_norms", norms)
    distilled = distiller("fitnet")
    seen = _run(distilled, [TermWeights(distilled, every=6)], epochs=2, steps=7)
    assert len(measured) == 6, "in the steps 0, 1, 2, 4, 6 and 12"
    lengths = [1.0, 10**0.5, 10**1.25]
    assert [step["features_weight"] for step in seen[:4]] == pytest.approx(
        [0.5 / lengths[0], 0.5 / lengths[1], 0.5 / lengths[2], 0.5 / lengths[2]]
    )


def test_a_ramp_reaches_the_loss_step_by_step() -> None:
    distilled = distiller("fitnet", method_args={"features": {"weight": 2.0, "schedule": "ramp"}})
    seen = _run(distilled, [TermWeights(distilled)])
    assert [step["features_weight"] for step in seen] == pytest.approx([0.0, 0.5, 1.0, 1.5])
    for step in seen:
        total = step["supervised"] + step["features_weight"] * step["features"]
        assert step["loss"] == pytest.approx(total, rel=1e-5)


def test_features_fade_and_soft_labels_stay() -> None:
    distilled = distiller("recommended")
    seen = _run(distilled, [TermWeights(distilled)], epochs=2, steps=4)
    assert all(step["features_weight"] > 0 for step in seen[:4])
    assert all(step["features_weight"] == step["spatial_weight"] == 0 for step in seen[4:])
    assert all(step["logits_weight"] == 0.5 and step["overlap_weight"] == 1.0 for step in seen)


def test_a_term_without_a_gradient_has_no_weight() -> None:
    distilled = distiller("tinyunet")
    weights = TermWeights(distilled)
    engine = trainer(distilled, epochs=1, steps=1, handlers=[weights])
    # no edge anywhere: no key points
    engine.data_loader = [{"image": torch.randn(2, 1, 16, 16), "label": torch.zeros(2, 1, 16, 16)}]
    engine.run()
    assert distilled.weights["spatial"] == 0 and distilled.weights["features"] > 0


def test_a_resumed_training_has_the_same_weights() -> None:
    whole = distiller("tinyunet")
    weights = TermWeights(whole, every=2)
    _run(whole, [weights], epochs=2, steps=2)

    first, second = distiller("tinyunet"), distiller("tinyunet", seed=1)
    before = TermWeights(first, every=2)
    engine = trainer(first, epochs=2, steps=2, handlers=[ReproducibleEpochs(0), before])
    engine.add_event_handler(Events.EPOCH_COMPLETED(once=1), engine.terminate)
    engine.run()
    second.load_state_dict(first.state_dict())
    second.teacher.load_state_dict(first.teacher.state_dict())
    after = TermWeights(second, every=2)
    after.load_state_dict(before.state_dict())
    resumed = trainer(second, epochs=2, steps=2, handlers=[ReproducibleEpochs(0), after])
    resumed.optimizer.load_state_dict(engine.optimizer.state_dict())
    resumed.add_event_handler(
        Events.STARTED, lambda e: (setattr(e.state, "epoch", 1), setattr(e.state, "iteration", 2))
    )
    resumed.run()
    assert after.lengths == weights.lengths
    for ours, theirs in zip(second.student.parameters(), whole.student.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_state_is_plain_values(tmp_path: Any) -> None:
    distilled = distiller("fitnet")
    weights = TermWeights(distilled)
    _run(distilled, [weights], epochs=1, steps=1)
    torch.save(weights.state_dict(), tmp_path / "state.pt")
    assert torch.load(tmp_path / "state.pt", weights_only=True) == weights.state_dict()


def test_steps_between_must_be_positive() -> None:
    with pytest.raises(UserError, match="1 or more"):
        TermWeights(distiller("kd"), every=0)


def test_a_given_weight_that_dominates_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    distilled = distiller("lightvessel", method_args={"fsd": {"weight": 1e5}, "asd": {"weight": 1e-9}})
    with caplog.at_level(logging.WARNING):
        _run(distilled, [TermWeights(distilled, every=2)], epochs=2, steps=3)
    warnings = [record.getMessage() for record in caplog.records if "dominates" in record.getMessage()]
    assert len(warnings) == 1 and "term fsd" in warnings[0] and '"share": 0.5' in warnings[0]
