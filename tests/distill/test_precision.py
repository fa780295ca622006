"""A teacher in bfloat16: where the processor says that it has it, and only for what teaches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from kdseg.distill import Distiller, Teacher, load_teacher
from kdseg.distill.precision import has_bfloat16, wants_bfloat16
from kdseg.errors import UserError
from tests.distill.contract import SmallNet
from tests.tasks import tiny_task, trained_folder


def test_the_flag_of_the_processor_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    told: dict[str, Any] = {"avx512_bf16": False, "cpu_name": "bf16"}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    assert not has_bfloat16("cpu") and not wants_bfloat16("auto", "cpu") and wants_bfloat16("bfloat16", "cpu")
    for flag in ("avx512_bf16", "amx_bf16"):
        told = {flag: True}
        assert has_bfloat16("cpu") and wants_bfloat16("auto", "cpu") and not wants_bfloat16("float32", "cpu")
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not has_bfloat16("cpu")
    assert not has_bfloat16("mps")


def test_what_teaches_is_a_little_off_and_what_is_measured_is_not() -> None:
    network = SmallNet()
    exact, rounded = Teacher(network), Teacher(network, in_bfloat16=True)
    image = torch.randn(2, 1, 16, 16)
    assert torch.equal(exact(image), rounded(image))
    for teacher in (exact, rounded):
        teacher.record(["enc2"])
        first = teacher.taps(image)
        teacher.record(["enc2"])
        assert all(torch.equal(value, first[name]) for name, value in teacher.taps(image).items())
    taps, other = exact.taps(image), rounded.taps(image)
    for name in ("enc2", "logits"):
        error = (taps[name] - other[name]).norm() / taps[name].norm()
        assert other[name].dtype == torch.float32 and 0 < error < 0.03
    assert torch.equal(other["image"], image)


@pytest.mark.parametrize("script", [torch.jit.script, lambda net: torch.jit.trace(net, torch.zeros(1, 1, 16, 16))])
def test_torchscript_too(tmp_path: Path, script: Any) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.Conv2d(4, 1, 1))
    torch.jit.save(script(net.eval()), str(tmp_path / "teacher.ts"))
    teacher = load_teacher(tmp_path / "teacher.ts", tiny_task(), precision="bfloat16")
    logits = teacher.taps(torch.randn(1, 1, 16, 16))["logits"]
    assert logits.dtype == torch.float32 and logits.isfinite().all()


def test_a_student_learns_from_it(tmp_path: Path) -> None:
    trained_folder(tmp_path / "t", tiny_task(network={"name": "unet", "base_channels": 3}))
    teacher = load_teacher(tmp_path / "t", tiny_task(), precision="bfloat16")
    student = torch.nn.Conv2d(1, 1, 3, padding=1)
    built = Distiller(student, teacher, "kd", head="sigmoid", probe_shape=(1, 1, 32, 32))
    image = torch.randn(2, 1, 32, 32)
    built.total(built(image, built.taught(image), torch.zeros(2, 1, 32, 32))[1]).backward()  # type: ignore[union-attr]
    assert student.weight.grad is not None and student.weight.grad.isfinite().all()
    with pytest.raises(UserError, match="did you mean 'float32'"):
        load_teacher(tmp_path / "t", tiny_task(), precision="flaot32")  # type: ignore[arg-type]


def test_loading_a_teacher_draws_no_random_numbers(tmp_path: Path) -> None:
    """When it is loaded depends on the configuration, and what is drawn afterwards must not."""
    trained_folder(tmp_path / "t", tiny_task())
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    load_teacher(tmp_path / "t", tiny_task())
    assert torch.equal(torch.rand(3), expected)
