"""The teacher: frozen, in eval mode, without a graph, and loaded whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kdseg.distill import Teacher, load_weights
from kdseg.errors import UserError
from tests.distill.contract import SmallNet


def test_train_leaves_it_in_eval_mode() -> None:
    teacher = Teacher(SmallNet()).train()
    assert not any(module.training for module in teacher.modules())


def test_it_is_deterministic_and_its_buffers_never_change() -> None:
    teacher = Teacher(SmallNet()).train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    image = torch.randn(2, 1, 16, 16)
    first, second = teacher(image), teacher(image)
    assert torch.equal(first, second), "dropout is on"
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_taps_have_no_graph_and_serve_in_a_backward_pass() -> None:
    teacher = Teacher(SmallNet())
    teacher.record(["enc1", "dec1"])
    taps = teacher.taps(torch.randn(2, 1, 16, 16))
    assert not any(tap.requires_grad or tap.grad_fn for tap in taps.values())
    weight = torch.ones(1, requires_grad=True)
    (weight * taps["enc1"]).sum().backward()  # inference tensors would be refused here
    assert weight.grad is not None


def test_recording_anew_removes_the_old_hooks() -> None:
    teacher = Teacher(SmallNet())
    for _ in range(3):
        teacher.record(["enc1", "enc2"])
    assert sum(len(module._forward_hooks) for module in teacher.network.modules()) == 2


@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: {"model": s}, lambda s: {f"module.{k}": v for k, v in s.items()}]
)
def test_weights_are_loaded(tmp_path: Path, wrap) -> None:  # type: ignore[no-untyped-def]
    source, target = SmallNet(), SmallNet()
    torch.save(wrap(source.state_dict()), tmp_path / "teacher.pt")
    load_weights(target, tmp_path / "teacher.pt")
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True))


def test_strict_load_reports_what_does_not_fit(tmp_path: Path) -> None:
    weights = SmallNet().state_dict()
    weights.pop("head.bias")
    weights["tail.weight"] = torch.zeros(1)
    weights["head.weight"] = torch.zeros(5, 2, 1, 1)
    torch.save(weights, tmp_path / "teacher.pt")
    target = SmallNet()
    before = target.head.weight.clone()
    with pytest.raises(UserError) as told:
        load_weights(target, tmp_path / "teacher.pt")
    for part in ("1 missing (head.bias)", "1 unexpected (tail.weight)", "head.weight (5, 2, 1, 1) instead of"):
        assert part in str(told.value)
    assert torch.equal(target.head.weight, before), "loaded in part"


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        load_weights(SmallNet(), tmp_path / "absent.pt")
    (tmp_path / "text.pt").write_text("not weights")
    with pytest.raises(UserError, match=r"text\.pt"):
        load_weights(SmallNet(), tmp_path / "text.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(UserError, match="state dict"):
        load_weights(SmallNet(), tmp_path / "list.pt")
