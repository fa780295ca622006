"""Channels and dimensions of the teacher's input, and its taps brought back to the student's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kdseg.distill import Distiller, Teacher
from kdseg.distill.teachers import InputConversion
from kdseg.distill.teachers.input import input_layer
from kdseg.errors import UserError
from tests.distill.contract import SmallNet


def test_grey_is_repeated_and_of_neighbouring_slices_the_middle_is_seen() -> None:
    slices = torch.arange(5.0).reshape(1, 5, 1, 1).expand(1, 5, 4, 4)
    assert InputConversion(3)(slices[:, :1]).shape == (1, 3, 4, 4)
    assert InputConversion(1)(slices)[0, :, 0, 0].tolist() == [2]
    assert InputConversion(3)(slices)[0, :, 0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(("given", "wanted"), [(3, 2), (3, 5), (4, 1)])
def test_channels_without_a_common_middle_are_refused(given: int, wanted: int) -> None:
    with pytest.raises(UserError, match="channels of the teacher"):
        InputConversion(wanted)(torch.zeros(1, given, 4, 4))


def test_a_plane_teacher_of_a_volume_sees_each_slice() -> None:
    network = SmallNet(dims=2, in_channels=1).eval()
    teacher = Teacher(network, conversion=InputConversion(*input_layer(network)))
    teacher.record(["enc2"])
    volume = torch.randn(2, 1, 16, 16, 3)
    taps = teacher.taps(volume)
    assert taps["enc2"].shape == (2, 3, 8, 8, 3) and taps["image"] is volume
    with torch.no_grad():
        for number in range(3):
            torch.testing.assert_close(taps["logits"][..., number], network(volume[..., number]))
    torch.testing.assert_close(teacher(volume), taps["logits"])


def test_a_volume_teacher_of_slices_gives_the_middle_one() -> None:
    network = nn.Conv3d(1, 2, 3, padding=1)
    teacher = Teacher(network, conversion=InputConversion(*input_layer(network)))
    slices = torch.randn(2, 5, 8, 8)
    with torch.no_grad():
        expected = network(slices.movedim(1, -1)[:, None])[..., 2]
    torch.testing.assert_close(teacher(slices), expected)


@pytest.mark.parametrize("method", ["kd", "fitnet"])
def test_a_distiller_with_slices_for_the_student_and_a_plane_for_the_teacher(method: str) -> None:
    network = SmallNet(classes=1, widths=(3, 4, 5, 5))
    teacher = Teacher(network, conversion=InputConversion(*input_layer(network)))
    distiller = Distiller(
        SmallNet(classes=1, in_channels=3), teacher, method, head="sigmoid", probe_shape=(1, 3, 16, 16)
    )
    image = torch.randn(2, 3, 16, 16)
    logits, terms = distiller(image, teacher.taps(image))
    (logits.mean() + distiller.total(terms)).backward()
    assert all(bool(value.isfinite()) for value in terms.values())


def test_a_distiller_with_a_volume_student_and_a_plane_teacher() -> None:
    network = SmallNet(classes=1, widths=(3, 4, 5, 5))
    teacher = Teacher(network, conversion=InputConversion(*input_layer(network)))
    student = SmallNet(dims=3, classes=1)
    distiller = Distiller(student, teacher, "fitnet", head="sigmoid", probe_shape=(1, 1, 16, 16, 16))
    image = torch.randn(1, 1, 16, 16, 16)
    _, terms = distiller(image, teacher.taps(image))
    assert all(bool(value.isfinite()) for value in terms.values())


def test_the_first_convolution_tells_channels_and_dimensions() -> None:
    assert input_layer(SmallNet(dims=3, in_channels=2)) == (2, 3)
    assert input_layer(torch.jit.trace(SmallNet(in_channels=3).eval(), torch.zeros(1, 3, 16, 16))) == (3, 2)
    assert input_layer(nn.ReLU()) == (None, None)
