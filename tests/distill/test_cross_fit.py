"""Cross-fitted teachers: who may say something of which image, how sure, and lists that hold each part out once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from kdseg.data import content_hash, load_datalist, save_datalist
from kdseg.data.lists.cross_fit import cross_fit_lists
from kdseg.distill import Distiller, SoftLabels, load_teacher, soft_label_folder
from kdseg.distill.teachers import CrossFitTeacher, cross_fit_members
from kdseg.distill.teachers.calibration import Tempered, best_temperature, likelihood
from kdseg.distill.teachers.seen_cases import check_unseen
from kdseg.errors import UserError
from kdseg.networks import UNet
from kdseg.task import write_json
from tests.tasks import tiny_task, trained_folder


class Says(nn.Module):
    """The same logit everywhere."""

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(logit))

    def forward(self, image: Tensor) -> Tensor:
        return image[:, :1] * 0 + self.logit


@pytest.fixture
def pictures(tmp_path: Path) -> list[dict[str, Any]]:
    records = []
    for number in range(6):
        picture = np.random.default_rng(number).integers(0, 255, (16, 16), dtype=np.uint8)
        for kind in ("image", "mask"):
            Image.fromarray(picture if kind == "image" else (picture > 99) * np.uint8(255)).save(
                tmp_path / f"{kind}{number}.png"
            )
        record = {"image": f"image{number}.png", "label": f"mask{number}.png", "case": f"{number}"}
        records.append({**record, "patient": f"p{number // 2}", "fold": 0})
    return records


@pytest.fixture
def datalist(tmp_path: Path, pictures: list[dict[str, Any]]) -> Path:
    sections = {"training": pictures, "validation": [], "test": []}
    save_datalist({"labels": {"0": "background", "1": "thing"}, "root": ".", **sections}, tmp_path / "list.json")
    return tmp_path / "list.json"


def test_an_image_is_taught_by_those_that_have_not_seen_it(tmp_path: Path, pictures: list[dict[str, Any]]) -> None:
    records = [{"image": str(tmp_path / record["image"])} for record in pictures[:3]]
    first, second = (content_hash(record["image"]) for record in records[:2])
    members, seen = [Says(-2.0), Says(0.0), Says(2.0)], [{first, second}, {first}, {second}]
    teacher = CrossFitTeacher(members, seen, "sigmoid")
    joined = SoftLabels(tmp_path / "maps", teacher, tiny_task()).joined(records)
    told = [np.load(record["soft_labels"]).mean() / 255 for record in joined]
    p = [torch.tensor(logit).sigmoid().item() for logit in (-2.0, 0.0, 2.0)]
    # the first by the last member alone, the second by the one in the middle, the third by all
    assert told == pytest.approx([p[2], p[1], sum(p) / 3], abs=1 / 500)
    with pytest.raises(UserError, match="an image that all have seen"):
        CrossFitTeacher(members, [{first}] * 3, "sigmoid").unbiased(first)
    # without maps nobody knows which image a crop is of
    with pytest.raises(UserError, match="set soft_labels to a folder"):
        Distiller(UNet(base_channels=2), teacher, "kd", head="sigmoid", probe_shape=(1, 1, 16, 16))


def test_every_part_is_held_out_once_by_whole_patients(tmp_path: Path, datalist: Path) -> None:
    lists = cross_fit_lists(datalist, tmp_path / "elsewhere" / "lists", 3)
    everyone = {record["image"] for record in load_datalist(datalist, "training")}
    held_out: list[str] = []
    for path in lists:
        training, validation = (load_datalist(path, section) for section in ("training", "validation"))
        assert {r["patient"] for r in training}.isdisjoint(r["patient"] for r in validation)
        assert {r["image"] for r in [*training, *validation]} == everyone and len(validation) == 2
        held_out += [record["image"] for record in validation]
        assert str(tmp_path) not in path.read_text()
    assert sorted(held_out) == sorted(everyone)
    before = [path.stat().st_mtime_ns for path in lists]
    assert [p.stat().st_mtime_ns for p in cross_fit_lists(datalist, lists[0].parent, 3)] == before
    for parts in (1, 4):
        with pytest.raises(UserError, match="2 to 3, the patients"):
            cross_fit_lists(datalist, tmp_path / "lists", parts)


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
@pytest.mark.parametrize("factor", [0.5, 4.0])
def test_the_temperature_of_a_network_that_is_too_sure_or_not_sure_enough(head: Any, factor: float) -> None:
    generator = torch.Generator().manual_seed(0)
    # labels drawn from the probabilities of these logits: the true ones
    logits = 2 * torch.randn(1, 2, 64, 64, generator=generator)
    if head == "sigmoid":
        label = (torch.rand(logits.shape, generator=generator) < logits.sigmoid()).float()
    else:
        label = (torch.rand((1, 1, 64, 64), generator=generator) < logits.softmax(1)[:, 1:]).float()
    label[..., :3] = 255
    found = best_temperature([(factor * logits, label)], head)
    assert found == pytest.approx(factor, rel=0.1)
    pairs = [((factor * logits).flatten(2), label.flatten(2))]
    around = [likelihood(pairs, found * change, head) for change in (0.9, 1.0, 1.1)]
    assert around[1] == min(around)


def test_a_cross_fit_is_loaded_from_its_folder(tmp_path: Path, pictures: list[dict[str, Any]]) -> None:
    folder, task = tmp_path / "teachers", tiny_task()
    hashes = [content_hash(tmp_path / record["image"]) for record in pictures]
    networks = [trained_folder(folder / f"t{n}", task, seed=n, images_sha256=hashes[n : n + 2]) for n in range(2)]
    record = {"parts": 2, "teachers": [{"folder": f"t{n}", "temperature": 1.5 + n} for n in range(2)]}
    assert cross_fit_members(folder) == [] and soft_label_folder(folder) is None
    write_json(record, folder / "cross_fit.json")
    teacher = load_teacher(folder, task)
    assert isinstance(teacher, CrossFitTeacher) and teacher.trained_on == [set(hashes[:2]), set(hashes[1:3])]
    assert all(isinstance(member, Tempered) for member in teacher.members)
    image = torch.randn(1, 1, 16, 16)
    with torch.no_grad():
        each = [(network(image) / (1.5 + n)).sigmoid() for n, network in enumerate(networks)]
    torch.testing.assert_close(teacher(image).sigmoid(), (each[0] + each[1]) / 2, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(teacher.unbiased(hashes[0])(image).sigmoid(), each[1], atol=1e-5, rtol=1e-4)
    assert soft_label_folder([folder]) == str(folder / "soft_labels") and soft_label_folder([folder, folder]) is None
    # what one of them has seen is no case for validation
    with pytest.raises(UserError, match="trained on 1 of the 1 validation"):
        check_unseen([folder], [{"image": str(tmp_path / pictures[2]["image"]), "case": "2"}])
    (folder / "cross_fit.json").write_text(json.dumps({"teachers": [{"folder": "t0"}]}))
    with pytest.raises(UserError, match="no readable record"):
        load_teacher(folder, task)
