"""Soft labels that are made once: what they hold, when they are made anew, and that no step asks the teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from kdseg.distill import Distiller, SoftLabels, Teacher, soft_logits
from kdseg.distill.teachers import ClassMap
from kdseg.engines import DistillationTrainer
from kdseg.errors import UserError
from kdseg.losses import SegmentationLoss
from kdseg.networks import UNet
from kdseg.transforms import LoadSoftLabeld
from tests.tasks import tiny_task


class Counting(nn.Module):
    """A network that counts its forwards."""

    def __init__(self, out_channels: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, out_channels, 3, padding=1)
        self.calls = 0

    def forward(self, image: Tensor) -> Tensor:
        self.calls += len(image)
        return self.conv(image)


@pytest.fixture
def records(tmp_path: Path) -> list[dict[str, Any]]:
    made = []
    for number, size in enumerate([(32, 48), (20, 33)]):
        picture = np.random.default_rng(number).integers(0, 255, size, dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
        made.append({"image": str(tmp_path / f"{number}.png"), "case": str(number)})
    return made


def teacher(seed: int = 0, **settings: Any) -> Teacher:
    torch.manual_seed(seed)
    return Teacher(Counting(), **settings)


def forwards(folder: Path, taught: Teacher, records: list[dict[str, Any]], task: Any = None) -> int:
    """How many images the teacher is shown."""
    before = taught.network.calls
    SoftLabels(folder, taught, task or tiny_task()).joined(records)
    return taught.network.calls - before


def test_a_map_is_what_the_teacher_says_of_the_whole_image(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    taught = teacher()
    joined = SoftLabels(tmp_path / "maps", taught, tiny_task()).joined(records)
    assert [{key: value for key, value in record.items() if key != "soft_labels"} for record in joined] == records
    picture = torch.tensor(np.asarray(Image.open(records[1]["image"])).T.astype(np.float32))[None, None]
    image = (picture - picture.mean()) / picture.std(unbiased=False)
    found = np.load(joined[1]["soft_labels"])
    assert found.dtype == np.uint8 and found.shape == (1, 33, 20)
    # the border is padded to what the network needs, so its last row sees something else
    torch.testing.assert_close(
        torch.tensor(found[0] / 255.0, dtype=torch.float32)[:-1, :-1],
        taught(image).sigmoid()[0, 0, :-1, :-1],
        atol=1 / 500,
        rtol=0,
    )


def test_maps_are_made_once_and_anew_for_whatever_changes(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    folder = tmp_path / "maps"
    assert forwards(folder, teacher(), records) == 2
    # the same weights in another object, and a teacher that has been used
    used = teacher()
    used.record(["logits"])
    assert forwards(folder, used, records) == 0
    # another name or another student are no other images
    assert forwards(folder, teacher(), records, tiny_task(name="other", network={"name": "enet"})) == 0
    assert forwards(folder, teacher(seed=1), records) == 2
    assert forwards(folder, teacher(class_map=ClassMap({0: 0}, 1, "sigmoid")), records) == 2
    assert forwards(folder, teacher(), records, tiny_task(z_score=False)) == 2
    # another image under the same name, though the list still has the old hash
    Image.fromarray(np.zeros((32, 48), np.uint8)).save(records[0]["image"])
    assert forwards(folder, teacher(), [{**record, "sha256": "old"} for record in records]) == 1
    assert not [path.name for path in folder.iterdir() if path.suffix != ".npy"]


def test_no_folder_no_maps(records: list[dict[str, Any]]) -> None:
    assert SoftLabels(None, teacher(), tiny_task()).joined(records) == records


def test_a_map_that_is_gone_broken_or_of_another_image_is_told(tmp_path: Path) -> None:
    load, image = LoadSoftLabeld("soft_labels"), torch.zeros(1, 4, 6)
    np.save(tmp_path / "good.npy", np.full((2, 4, 6), 51, np.uint8))
    assert load({"image": image, "soft_labels": str(tmp_path / "good.npy")})["soft_labels"].unique().tolist() == [51]
    np.save(tmp_path / "turned.npy", np.zeros((2, 6, 4), np.uint8))
    np.save(tmp_path / "numbers.npy", np.zeros((2, 4, 6)))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "good.npy").read_bytes()[:100])
    for name in ("turned", "numbers", "cut", "gone"):
        with pytest.raises(UserError, match=f"soft labels {name}.npy"):
            load({"image": image, "soft_labels": str(tmp_path / f"{name}.npy")})


def test_augmentation_cannot_write_into_the_file(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.full((1, 4, 6), 7, np.uint8))
    record = {"image": torch.zeros(1, 4, 6), "soft_labels": str(tmp_path / "a.npy")}
    LoadSoftLabeld("soft_labels")(record)["soft_labels"].fill_(0)
    assert (np.load(tmp_path / "a.npy") == 7).all()


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_logits_of_maps_have_their_probabilities(head: Any) -> None:
    p = torch.rand(2, 3, 4, 4).softmax(1)
    logits = soft_logits(p[:, 1:], head)
    back = logits.softmax(1) if head == "softmax" else logits.sigmoid()
    torch.testing.assert_close(back, p if head == "softmax" else p[:, 1:])
    # all and nothing stay numbers
    ends = soft_logits(torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1), head)
    assert ends.isfinite().all()


def train(method: Any, batch: dict[str, Tensor], **settings: Any) -> tuple[DistillationTrainer, Teacher]:
    taught = Teacher(Counting())
    student = UNet(base_channels=2)
    distiller = Distiller(student, taught, method, head="sigmoid", probe_shape=(1, 1, 16, 16), **settings)
    taught.network.calls = 0
    trainer = DistillationTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=[batch],
        network=distiller,
        optimizer=torch.optim.SGD(distiller.trained_parameters(), lr=0.1),
        loss_function=SegmentationLoss("sigmoid"),
    )
    return trainer, taught


def batch(**more: Tensor) -> dict[str, Tensor]:
    return {"image": torch.randn(2, 1, 16, 16), "label": torch.zeros(2, 1, 16, 16), **more}


def test_a_step_from_soft_labels_asks_no_teacher_and_is_the_step_that_the_teacher_would_have_made() -> None:
    torch.manual_seed(0)
    live, taught = train("recommended", batch())
    data = live.data_loader[0]
    student = {name: value.clone() for name, value in live.distiller.student.state_dict().items()}
    soft = taught(data["image"]).sigmoid()
    live.run()
    assert taught.network.calls == 4
    stored, other = train("recommended", {**data, "soft_labels": soft}, soft_labels=True)
    stored.distiller.student.load_state_dict(student)
    stored.run()
    # what the first one's optional terms need is not there either: Counting has no taps
    assert list(stored.distiller.terms) == ["logits", "overlap"] and other.network.calls == 0
    for name, value in live.distiller.student.state_dict().items():
        torch.testing.assert_close(stored.distiller.student.state_dict()[name], value, atol=1e-5, rtol=1e-4)


def test_soft_labels_that_are_missing_or_of_another_size_are_told() -> None:
    trainer, _ = train("kd", batch(), soft_labels=True)
    with pytest.raises(UserError, match="no soft labels"):
        trainer.run()
    trainer, _ = train("kd", batch(soft_labels=torch.zeros(2, 1, 8, 8)), soft_labels=True)
    with pytest.raises(UserError, match=r"soft labels of \(8, 8\) for images of \(16, 16\)"):
        trainer.run()


def test_features_cannot_be_had_from_soft_labels() -> None:
    with pytest.raises(UserError, match="soft labels that were made before, which gives logits only"):
        Distiller(UNet(base_channels=2), UNet(base_channels=3), "tinyunet", head="sigmoid", soft_labels=True)
