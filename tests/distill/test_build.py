"""Methods by name or of the user's own, every setting checked before training."""

from __future__ import annotations

import pytest

from kdseg.distill import LOSSES, METHODS, build_method, needs_labels
from kdseg.errors import UserError


def test_settings_reach_their_term() -> None:
    method = build_method("skds", {"pairwise": {"weight": 0.5, "pool": 0.0}, "adversarial": {"weight": 0}})
    assert set(method.terms) == {"logits", "pairwise"}, "weight 0 leaves a term out"
    assert method.terms["pairwise"].weight == 0.5 and method.terms["pairwise"].settings["pool"] == 0.0


def test_a_term_that_is_off_can_be_switched_on() -> None:
    assert "field" not in build_method("adaptive_affinity").terms
    assert "field" in build_method("adaptive_affinity", {"field": {"weight": 0.1}}).terms


def test_a_method_of_ones_own() -> None:
    method = build_method({"mine": {"loss": "texture", "taps": "enc2", "weight": 2}})
    assert method.terms["mine"].taps == ("enc2",) and method.terms["mine"].weight == 2.0


@pytest.mark.parametrize(
    ("method", "settings", "told"),
    [
        ("lightvesel", {}, "did you mean 'lightvessel'"),
        ("kd", {"logit": {"weight": 1}}, "did you mean 'logits'"),
        ("emkd", {"prediction": {"temperatur": 2}}, "did you mean 'temperature'"),
        ("kd", {"logits": {"weight": -1}}, "0 or more"),
        ("kd", {"logits": {"weight": "much"}}, "0 or more"),
        ("kd", {"logits": {"weight": 3}}, "a weight from 0 to 1"),
        ("kd", {"logits": {"share": 0.5}}, "a weight from 0 to 1"),
        ({"mine": {"loss": "textur"}}, {}, "did you mean 'texture'"),
        ({"mine": {"weight": 1}}, {}, "name of a loss"),
    ],
)
def test_mistakes_get_a_suggestion(method: object, settings: dict[str, dict[str, object]], told: str) -> None:
    with pytest.raises(UserError, match=told):
        build_method(method, settings)  # type: ignore[arg-type]


def test_a_share_unless_a_weight_is_given() -> None:
    shares = {name: term.share for name, term in build_method("skds").terms.items()}
    assert shares == {"logits": 1.0, "pairwise": 0.3, "adversarial": 0.1}
    absolute = build_method("skds", {"pairwise": {"share": 0.2}}, balance="paper").terms
    assert absolute["logits"].share is None and absolute["logits"].weight == 10.0
    assert absolute["pairwise"].share == 0.2, "what is asked for comes before the balance"
    assert build_method("skds", {"logits": {"weight": 2.0}}).terms["logits"].share is None
    own = {"a": {"loss": "texture"}, "b": {"loss": "texture", "weight": 2.0}, "c": {"loss": "soft_labels"}}
    assert [term.share for term in build_method(own).terms.values()] == [0.5, None, None]
    with pytest.raises(UserError, match="did you mean 'gradient'"):
        build_method("skds", balance="gradients")  # type: ignore[arg-type]


def test_every_method_builds_and_names_known_losses() -> None:
    for name, method in METHODS.items():
        assert build_method(name).terms, name
        assert all(term.loss in LOSSES for term in method.terms.values()), name
        assert method.standing in ("code", "paper", "reconstruction", "default")


def test_needs_labels_follows_from_the_terms() -> None:
    assert needs_labels(build_method("ifvd")) and not needs_labels(build_method("kd"))
    assert not needs_labels(build_method("lightvessel", {"asd": {"weight": 0}}))
