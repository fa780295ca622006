"""Mixed images: what they are, that the supervised loss does not see them, and that the same step mixes alike."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from kdseg.distill import Distiller, Mixing, Teacher
from kdseg.engines import DistillationTrainer
from kdseg.errors import UserError
from kdseg.losses import SegmentationLoss
from kdseg.networks import UNet


@pytest.mark.parametrize("shape", [(5, 1, 8, 8), (4, 3, 8, 8), (3, 1, 8, 8, 4)])
def test_each_is_a_mean_of_two_images_of_the_batch(shape: tuple[int, ...]) -> None:
    # images that are constant, so that a mixture tells its parts
    values = torch.tensor([0.0, 1.0, 10.0, 100.0, 1000.0])[: shape[0]]
    image = values.view(-1, *[1] * (len(shape) - 1)).expand(shape).clone()
    label = torch.zeros(shape[0], 1, *shape[2:])
    mixed, labels = Mixing(1.0)(image, label, step=3)
    assert (
        len(mixed) == 2 * shape[0] and torch.equal(mixed[: shape[0]], image) and torch.equal(labels[: shape[0]], label)
    )
    assert (labels[shape[0] :] == 255).all()
    for one in mixed[shape[0] :]:
        value = float(one.flatten()[0])
        assert (one == one.flatten()[0]).all() and values.min() < value < values.max() and value not in values.tolist()


@pytest.mark.parametrize(("share", "count"), [(0, 0), (0.1, 1), (0.5, 2), (0.6, 3), (1, 4)])
def test_how_many_there_are(share: float, count: int) -> None:
    image, label = torch.rand(4, 1, 8, 8), torch.zeros(4, 1, 8, 8)
    mixed, labels = Mixing(share)(image, label, 1)
    assert len(mixed) == len(labels) == 4 + count


def test_the_draw_is_that_of_seed_and_step() -> None:
    image, label = torch.rand(4, 1, 8, 8), torch.zeros(4, 1, 8, 8)
    torch.rand(7)
    first = Mixing(0.5, seed=1)(image, label, 5)[0]
    torch.rand(3)
    assert torch.equal(first, Mixing(0.5, seed=1)(image, label, 5)[0])
    others = [Mixing(0.5, seed=1)(image, label, 6)[0], Mixing(0.5, seed=2)(image, label, 5)[0]]
    assert not any(torch.equal(first, other) for other in others)


@pytest.mark.parametrize("share", [-0.1, 1.5, "half", True])
def test_another_share_is_refused(share: Any) -> None:
    with pytest.raises(UserError, match="mixing"):
        Mixing(share)
    with pytest.raises(UserError, match="batch_size"):
        Mixing(0.5)(torch.rand(1, 1, 8, 8), torch.zeros(1, 1, 8, 8), 1)


class Seen(nn.Module):
    """A teacher that keeps what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.network = UNet(base_channels=3)
        self.images: list[torch.Tensor] = []

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        self.images.append(image)
        return self.network(image)


def train(share: float, weight: float = 1.0, **settings: Any) -> tuple[DistillationTrainer, Seen]:
    torch.manual_seed(0)
    teacher = Seen()
    arguments = {"logits": {"weight": weight}, "overlap": {"weight": weight}}
    student = UNet(base_channels=2)
    built = Distiller(
        student, Teacher(teacher), "kd", arguments, head="sigmoid", probe_shape=(1, 1, 16, 16), **settings
    )
    teacher.images.clear()
    data = {"image": torch.randn(4, 1, 16, 16), "label": (torch.rand(4, 1, 16, 16) > 0.7).float()}
    trainer = DistillationTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=[data],
        network=built,
        optimizer=torch.optim.SGD(built.trained_parameters(), lr=0.1),
        loss_function=SegmentationLoss("sigmoid"),
        mixing=Mixing(share),
    )
    return trainer, teacher


def test_teacher_and_student_see_the_mixtures_and_the_labels_judge_the_rest() -> None:
    trainer, teacher = train(0.5)
    trainer.run()
    (shown,) = teacher.images
    output = trainer.state.output
    assert len(shown) == len(output["pred"]) == 6 and torch.equal(shown, output["image"])
    # the labelled four alone make the supervised loss
    expected = SegmentationLoss("sigmoid")(output["pred"][:4], output["label"][:4])
    assert float(output["terms"]["supervised"]) == pytest.approx(float(expected), rel=1e-5)
    assert all(value.isfinite() for value in output["terms"].values() if isinstance(value, torch.Tensor))


def test_none_is_the_step_without() -> None:
    (first, _), (second, _) = train(0), train(0)
    second.mixing = None
    first.run()
    second.run()
    for name, value in first.distiller.student.state_dict().items():
        assert torch.equal(value, second.distiller.student.state_dict()[name]), name


def test_soft_labels_know_no_mixtures() -> None:
    with pytest.raises(UserError, match="mixing: found soft labels"):
        train(0.5, soft_labels=True)
