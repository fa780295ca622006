"""A faster teacher gives the same taps, and the plain one stays as it was."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from kdseg.distill import Teacher
from kdseg.distill.fast_teacher import accelerate, fold_normalisation, measure_teachers
from kdseg.networks import TinyUNet


def _lively(network: nn.Module) -> nn.Module:
    """Normalisations as after a training: statistics and weights that are not 0 and 1."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            for tensor, low in ((module.running_mean, -1.0), (module.running_var, 0.5)):
                assert tensor is not None
                tensor.uniform_(low, 2.0)
            nn.init.uniform_(module.weight, -1.0, 2.0)
            nn.init.uniform_(module.bias, -1.0, 1.0)
    return network.eval()


def _norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in network.modules())


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("separable", [False, True])
def test_a_folded_teacher_gives_the_same_taps(dims: int, separable: bool) -> None:
    network = _lively(TinyUNet(dims, base_channels=2, separable=separable))
    image = torch.randn(2, 1, *[16] * dims)
    plain, folded = Teacher(network), Teacher(fold_normalisation(network, image))
    assert _norms(folded.network) == 0 < _norms(network)
    for teacher in (plain, folded):
        teacher.record(network.taps)
    wanted, given = plain.taps(image), folded.taps(image)
    assert set(wanted) == set(given) > set(network.taps)
    for tap, value in wanted.items():
        torch.testing.assert_close(given[tap], value, rtol=1e-4, atol=1e-4 * float(value.abs().max()), msg=tap)


class Tangled(nn.Module):
    """What must not be folded: a shared convolution, a convolution's output used twice, one changed in place."""

    def __init__(self) -> None:
        super().__init__()
        self.shared, self.twice, self.changed = (nn.Conv2d(1, 1, 1) for _ in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm2d(1) for _ in range(3))

    def forward(self, image: Tensor) -> Tensor:
        shared = self.norms[0](self.shared(self.shared(image)))
        changed = self.norms[1](self.changed(shared).relu_())
        both = self.twice(changed)
        return self.norms[2](both) + both


def test_pairs_that_are_no_pairs() -> None:
    network, image = _lively(Tangled()), torch.randn(2, 1, 4, 4)
    folded = fold_normalisation(network, image)
    assert isinstance(folded.norms[0], nn.BatchNorm2d) and isinstance(folded.norms[1], nn.BatchNorm2d)
    # a forward cannot show that an output is used twice: the comparison does, and such a copy is not kept
    teacher = Teacher(network)
    teacher.record(())
    measured, _ = measure_teachers(teacher, image, repeats=1)
    errors = {candidate.name: candidate.error for candidate in measured}
    assert errors["folded"] > 1e-2 > 1e-6 > errors["channels last"]
    assert all(not candidate.kept for candidate in measured if candidate.name.startswith("folded"))


def test_a_teacher_is_accelerated_and_left_as_it_was() -> None:
    network = _lively(TinyUNet(base_channels=2))
    before, image = copy.deepcopy(network.state_dict()), torch.randn(2, 1, 16, 16)
    teacher = Teacher(network)
    teacher.record(["enc1", "dec2"])
    wanted = teacher.taps(image)
    measured = accelerate(teacher, image)
    assert sum(candidate.kept for candidate in measured) == 1
    given = teacher.taps(image)
    assert set(given) == set(wanted)
    for tap, value in wanted.items():
        torch.testing.assert_close(given[tap], value, rtol=1e-4, atol=1e-4 * float(value.abs().max()), msg=tap)
        assert not given[tap].requires_grad
    assert not teacher.training and teacher.network is network and _norms(network) > 0
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_nothing_out_of_tolerance_is_kept() -> None:
    teacher = Teacher(_lively(TinyUNet(base_channels=2)))
    teacher.record(["enc1"])
    measured = accelerate(teacher, torch.randn(1, 1, 16, 16), tolerance=0.0)
    assert [candidate.name for candidate in measured if candidate.error == 0 and candidate.kept]
    assert next(c.error for c in measured if c.name == "folded, bfloat16") > 1e-4
