"""Every method distils into a student that computes at a quarter of the size, from teachers with other levels."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets import BasicUNet
from torch import nn

from kdseg.distill import METHODS, Distiller
from kdseg.networks import FoldedUNet, UNet

TEACHERS = {
    "another U-Net": lambda: UNet(base_channels=4, out_channels=2),
    "MONAI's": lambda: BasicUNet(2, 1, 2, (4, 4, 8, 8, 16, 4)),
    "folded less": lambda: FoldedUNet(fold=2, base_channels=6, out_channels=2),
}


@pytest.mark.parametrize("teacher", TEACHERS)
@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_teaches_it(method: str, teacher: str) -> None:
    torch.manual_seed(0)
    student: nn.Module = FoldedUNet(fold=4, base_channels=4, out_channels=2)
    distiller = Distiller(student, TEACHERS[teacher](), method, probe_shape=(1, 1, 64, 64)).train()
    image, label = torch.randn(3, 1, 64, 64), torch.randint(0, 2, (3, 1, 64, 64))
    logits, terms = distiller(image, distiller.teacher.taps(image), label)
    assert set(terms) == {name for name, term in METHODS[method].terms.items() if term.weight}
    for name, value in terms.items():
        (reached,) = torch.autograd.grad(value, student.encoder[0].conv1.weight, retain_graph=True)
        assert value.isfinite() and reached.isfinite().all() and reached.abs().sum() > 0, name
    assert logits.shape == (3, 2, 64, 64)
