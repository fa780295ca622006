"""Taps: what is recorded, what is left behind, and what a wrong name is told."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kdseg.distill import TapRecorder, Term, tap_paths
from kdseg.distill.terms import expand_taps
from kdseg.errors import UserError
from tests.distill.contract import SmallNet


def test_recorder_gives_logits_image_and_wanted_taps() -> None:
    network = SmallNet().eval()
    image = torch.randn(2, 1, 16, 16)
    logits, taps = TapRecorder(network, ["enc2", "dec1"])(image)
    assert sorted(taps) == ["dec1", "enc2", "image", "logits"]
    torch.testing.assert_close(logits, network(image))
    assert taps["logits"] is logits and taps["image"] is image
    assert taps["enc2"].shape == (2, 3, 8, 8)


def test_recorder_holds_nothing_and_removes_its_hooks() -> None:
    network = SmallNet()
    recorder = TapRecorder(network, ["enc1", "enc2"])
    recorder(torch.zeros(2, 1, 16, 16))
    assert not recorder._seen
    recorder.remove()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_input_of_a_module_can_be_a_tap() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU())
    _, taps = TapRecorder(network, ["enc1"], {"enc1": "1:in"})(torch.randn(1, 1, 4, 4))
    assert (taps["enc1"] < 0).any() or (taps["logits"] == taps["enc1"]).all()


def test_deep_supervision_gives_the_first_output() -> None:
    class Deep(nn.Module):
        def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
            return [image, image[..., ::2, ::2]]

    logits, _ = TapRecorder(Deep(), [])(torch.zeros(1, 1, 8, 8))
    assert logits.shape == (1, 1, 8, 8)


def test_unknown_tap_and_path_get_a_suggestion() -> None:
    with pytest.raises(UserError, match="did you mean 'enc1'"):
        TapRecorder(SmallNet(), ["enc11"])
    with pytest.raises(UserError, match=r"encoder\.0"):
        tap_paths(SmallNet(), {"enc1": "encoders.0"})


def test_the_user_names_win() -> None:
    paths = tap_paths(SmallNet(), {"enc1": "encoder.3"})
    assert paths["enc1"] == "encoder.3" and paths["enc1:pre"] == "encoder.3.2:in"
    assert tap_paths(SmallNet(), {"enc1:pre": "encoder.0.1"})["enc1:pre"] == "encoder.0.1"
    assert tap_paths(SmallNet())["up2"] == "decoder.1", "what has no tap of its own before the decoder"


def test_before_an_activation_in_place_the_values_are_kept() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(inplace=True))
    _, taps = TapRecorder(network, ["enc1", "enc1:pre"], {"enc1": "1"})(torch.randn(2, 1, 4, 4))
    assert (taps["enc1:pre"] < 0).any() and torch.equal(taps["enc1:pre"].relu(), taps["enc1"])


def test_levels_are_those_both_networks_have() -> None:
    has_s, has_t = ["enc2", "enc3", "dec2", "logits"], ["enc1", "enc2", "enc3", "dec1", "dec2", "logits"]
    assert expand_taps(Term("x", ("enc{level}",)), has_s, has_t)[0] == ["enc2", "enc3"]
    assert expand_taps(Term("x", ("enc{level}", "dec{level}")), has_s, has_t)[0] == ["enc2", "dec2"]
    assert expand_taps(Term("x", ("enc{deepest}",)), has_s, has_t)[0] == ["enc3"]
    assert expand_taps(Term("x", ("enc{deepest}", "dec{deepest}")), has_s, has_t)[0] == ["enc2", "dec2"]
    assert expand_taps(Term("x", ("enc{deepest}", "logits")), has_s, has_t)[1] == ["enc3", "logits"]
    assert expand_taps(Term("x", ("enc{deeper}",)), has_t, has_t)[0] == ["enc2", "enc3"]
    assert expand_taps(Term("x", ("dec{deeper}",)), ["dec1"], ["dec1"])[0] == ["dec1"]
    # before the classifier is another level in either
    assert expand_taps(Term("x", ("dec{finest}", "logits")), has_s, has_t) == (["dec2", "logits"], ["dec1", "logits"])


def test_teacher_taps_may_have_other_names() -> None:
    term = Term("x", ("enc{deepest}",), teacher_taps=("stage{deepest}",))
    assert expand_taps(term, ["enc1", "enc2"], ["stage1", "stage2", "stage3"]) == (["enc2"], ["stage2"])


def test_a_level_that_one_network_lacks_is_taken_at_the_nearest_of_both() -> None:
    folded, teacher = (
        ["enc3", "enc4", "dec3", "enc3:pre", "enc4:pre", "logits"],
        [f"{part}{level}{end}" for part in ("enc", "dec") for level in range(1, 6) for end in ("", ":pre")],
    )
    for taps, expected in {
        ("enc2:pre", "enc4:pre"): ["enc3:pre", "enc4:pre"],
        ("logits", "enc2", "enc4"): ["logits", "enc3", "enc4"],
        # the two sides of a level stay together
        ("enc4", "dec4"): ["enc3", "dec3"],
        ("enc5",): ["enc4"],
        # one that neither has stays, to be refused
        ("enc9",): ["enc9"],
    }.items():
        assert expand_taps(Term("x", taps), folded, [*teacher, "logits"]) == (expected, expected)
    paired = Term("x", ("enc2",), teacher_taps=("enc2",))
    assert expand_taps(paired, folded, teacher)[0] == ["enc2"], "pairs that were named stay as they are"


def test_no_common_level_is_told() -> None:
    with pytest.raises(UserError, match="no level that both networks have"):
        expand_taps(Term("x", ("enc{deepest}",)), ["enc1"], ["enc2"])
    with pytest.raises(UserError, match="no level that both networks have"):
        expand_taps(Term("x", ("dec{finest}",)), ["enc1"], ["enc2"])
    with pytest.raises(UserError, match="1 for the student, 2 for the teacher"):
        expand_taps(Term("x", ("enc1",), teacher_taps=("enc1", "enc2")), ["enc1"], ["enc1", "enc2"])
