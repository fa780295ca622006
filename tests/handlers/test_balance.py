"""Weights that change, weights that are found, and the warning about a term that dominates."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from ignite.engine import Events

from kdseg.engines import TERMS, loss_terms
from kdseg.errors import UserError
from kdseg.handlers import DominanceWatch, ReproducibleEpochs, TermWeights
from tests.tiny import distiller, trainer


def _run(distilled: Any, handlers: list[Any], epochs: int = 2, steps: int = 2) -> list[dict[str, float]]:
    """The parts of the loss at every step."""
    seen: list[dict[str, float]] = []
    engine = trainer(distilled, epochs=epochs, steps=steps, handlers=[ReproducibleEpochs(0), *handlers])
    engine.add_event_handler(Events.ITERATION_COMPLETED, lambda e: seen.append(loss_terms(e.state.output)))
    engine.run()
    return seen


def test_a_ramp_reaches_the_loss_step_by_step() -> None:
    distilled = distiller("kd", method_args={"logits": {"weight": 2.0, "schedule": "ramp"}})
    seen = _run(distilled, [TermWeights(distilled)])
    assert [step["logits_weight"] for step in seen] == pytest.approx([0.0, 0.5, 1.0, 1.5])
    for step in seen:
        total = step["supervised"] + step["logits_weight"] * step["logits"]
        assert step["loss"] == pytest.approx(total, rel=1e-5)


def test_constant_weights_are_left_alone_and_not_logged() -> None:
    distilled = distiller("kd", method_args={"logits": {"weight": 2.0}})
    seen = _run(distilled, [TermWeights(distilled)])
    assert set(seen[0]) == {"loss", "supervised", "logits"} and distilled.weights == {"logits": 2.0}


def test_a_share_is_measured_at_weight_0_and_then_met(caplog: pytest.LogCaptureFixture) -> None:
    distilled = distiller("kd", method_args={"logits": {"share": 0.5}})
    with caplog.at_level(logging.INFO):
        seen = _run(distilled, [TermWeights(distilled, share_steps=3)])
    assert [step["logits_weight"] for step in seen[:3]] == [0.0, 0.0, 0.0]
    means = [sum(step[name] for step in seen[:3]) for name in ("supervised", "logits")]
    assert seen[3]["logits_weight"] == pytest.approx(0.5 * means[0] / means[1])
    assert seen[3]["logits_weight"] * seen[3]["logits"] == pytest.approx(0.5 * seen[3]["supervised"], rel=0.5)
    assert "term logits: weight" in caplog.text and "0.5 of the supervised loss" in caplog.text


def test_a_found_weight_follows_its_schedule_too() -> None:
    distilled = distiller("kd", method_args={"logits": {"share": 0.5, "schedule": {"tenfold_decay": 2}}})
    weights = TermWeights(distilled, share_steps=1)
    seen = _run(distilled, [weights])
    assert [step["logits_weight"] / weights.found["logits"] for step in seen[1:]] == pytest.approx(
        [10**-0.5, 0.1, 10**-1.5]
    )


def test_a_resumed_training_has_the_same_weights() -> None:
    settings = {"logits": {"share": 0.5}}
    whole = distiller("kd", method_args=settings)
    weights = TermWeights(whole, share_steps=3)
    _run(whole, [weights], epochs=2, steps=2)

    # interrupted after the first of two epochs, in the middle of the measuring
    first, second = distiller("kd", method_args=settings), distiller("kd", method_args=settings, seed=1)
    before = TermWeights(first, share_steps=3)
    engine = trainer(first, epochs=1, steps=2, handlers=[ReproducibleEpochs(0), before])
    engine.run()
    assert before.steps == 2 and not before.found
    second.load_state_dict(first.state_dict())
    second.teacher.load_state_dict(first.teacher.state_dict())
    after = TermWeights(second, share_steps=3)
    after.load_state_dict(before.state_dict())
    resumed = trainer(second, epochs=2, steps=2, handlers=[ReproducibleEpochs(0), after])
    resumed.optimizer.load_state_dict(engine.optimizer.state_dict())
    resumed.add_event_handler(
        Events.STARTED, lambda e: (setattr(e.state, "epoch", 1), setattr(e.state, "iteration", 2))
    )
    resumed.run()
    assert after.found == weights.found
    for ours, theirs in zip(second.student.parameters(), whole.student.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_the_state_is_plain_values(tmp_path: Any) -> None:
    distilled = distiller("kd", method_args={"logits": {"share": 0.5}})
    weights = TermWeights(distilled, share_steps=1)
    _run(distilled, [weights], epochs=1, steps=1)
    torch.save(weights.state_dict(), tmp_path / "state.pt")
    assert torch.load(tmp_path / "state.pt", weights_only=True) == weights.state_dict()


def test_a_term_that_is_always_0_keeps_its_weight_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    distilled = distiller("kd", method_args={"logits": {"share": 0.5}})
    weights = TermWeights(distilled, share_steps=1)
    engine = trainer(distilled)
    engine.state.output = {
        "loss": torch.tensor(1.0),
        TERMS: {"supervised": torch.tensor(1.0), "logits": torch.tensor(0.0)},
    }
    weights.measure(engine)
    assert weights.found == {"logits": 1.0} and "it was 0 in all 1 steps" in caplog.text


def test_share_steps_must_be_positive() -> None:
    with pytest.raises(UserError, match="1 or more"):
        TermWeights(distiller("kd"), share_steps=0)


def test_a_dominating_term_is_named_once_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    distilled = distiller("lightvessel", method_args={"fsd": {"weight": 1e5}, "asd": {"weight": 1e-9}})
    _run(distilled, [DominanceWatch(distilled, window=2)], epochs=2, steps=3)
    warnings = [record.getMessage() for record in caplog.records if "dominates" in record.getMessage()]
    assert len(warnings) == 1 and "term fsd" in warnings[0] and '"share": 0.5' in warnings[0]


def test_a_short_peak_is_no_domination(caplog: pytest.LogCaptureFixture) -> None:
    distilled = distiller("kd")
    watch, engine = DominanceWatch(distilled, window=3), trainer(distilled)
    for value in (99.0, 99.0, 1.0, 99.0, 99.0):
        engine.state.output = {
            "loss": torch.tensor(value),
            TERMS: {"supervised": torch.tensor(1.0), "logits": torch.tensor(value)},
        }
        watch(engine)
    assert "dominates" not in caplog.text
