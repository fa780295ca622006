"""The pictures of an evaluation: upright, with class numbers, the right slice of a volume, any case name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator

from kdseg.handlers import CasePictures
from kdseg.handlers.case_pictures import picture_file


def evaluate(folder: Path, cases: list[dict[str, Any]], **settings: Any) -> None:
    class Guess(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.stack([torch.as_tensor(case["guess"]) for case in cases])

    evaluator = SupervisedEvaluator(
        device="cpu",
        val_data_loader=DataLoader(Dataset(cases), batch_size=len(cases)),
        network=Guess(),
        val_handlers=[CasePictures(folder, **settings)],
    )
    evaluator.run()


def case(name: str, label: torch.Tensor, guess: torch.Tensor) -> dict[str, Any]:
    image = torch.arange(float(label[0].numel())).reshape(1, *label.shape[1:])
    return {"case": name, "image": image, "label": label, "guess": guess}


def test_a_picture_is_upright_and_its_grey_values_fill_the_range(tmp_path: Path) -> None:
    label = torch.zeros(1, 30, 20)
    label[0, 25, 3] = 1
    label[0, 0, 0] = 255
    evaluate(tmp_path, [case("a", label, 1 - label.clamp(max=1)), case("b", label * 0, label * 0)])
    with np.load(tmp_path / "pictures" / "a.npz") as picture:
        image, truth, prediction = (picture[name] for name in ("image", "truth", "prediction"))
    assert all(array.shape == (20, 30) and array.dtype == np.uint8 for array in (image, truth, prediction))
    assert truth[3, 25] == 1 and truth[0, 0] == 255 and truth.sum() == 256
    assert prediction[3, 25] == 0 and prediction[4, 25] == 1
    assert image.min() == 0 and image.max() == 255 and image[0, 29] > image[19, 0]
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["a.npz", "b.npz"]


def test_classes_become_numbers_from_channels_with_or_without_background(tmp_path: Path) -> None:
    liver, spleen = torch.zeros(2, 8, 8).unbind()
    liver[1, 1], spleen[2, 2] = 1, 1
    background = 1 - liver - spleen
    evaluate(
        tmp_path,
        [case("a", torch.stack([liver, spleen]), torch.stack([background, liver, spleen]))],
        classes=["liver", "spleen"],
    )
    with np.load(tmp_path / "pictures" / "a.npz") as picture:
        for name in ("truth", "prediction"):
            assert picture[name][1, 1] == 1 and picture[name][2, 2] == 2 and picture[name].sum() == 3


def test_of_a_volume_the_fullest_slice_is_kept(tmp_path: Path) -> None:
    label = torch.zeros(1, 8, 6, 5)
    label[0, 2:4, 2:4, 3] = 2
    label[0, 0, 0, 1] = 1
    label[..., 0] = 255
    guess = torch.zeros(1, 8, 6, 5)
    guess[..., 3] = 1
    evaluate(tmp_path, [case("a", label, guess)], classes=["one", "two"])
    with np.load(tmp_path / "pictures" / "a.npz") as picture:
        assert picture["truth"].shape == (6, 8)
        assert (picture["truth"] == 2).sum() == 4 and picture["prediction"].all()


def test_a_volume_without_foreground_shows_its_middle(tmp_path: Path) -> None:
    guess = torch.zeros(1, 4, 4, 5)
    guess[..., 2] = 1
    evaluate(tmp_path, [case("a", torch.zeros(1, 4, 4, 5), guess)])
    with np.load(tmp_path / "pictures" / "a.npz") as picture:
        assert picture["prediction"].all()


def test_a_large_picture_is_made_smaller(tmp_path: Path) -> None:
    label = torch.zeros(1, 50, 21)
    label[:, 30:] = 1
    evaluate(tmp_path, [case("a", label, label)], longest=25)
    with np.load(tmp_path / "pictures" / "a.npz") as picture:
        assert picture["truth"].shape == (11, 25) and picture["truth"][:, 15:].all()


def test_strange_names_stay_in_the_folder(tmp_path: Path) -> None:
    label = torch.zeros(1, 4, 4)
    names = ["../a", "b/c", "é<b>", ".."]
    evaluate(tmp_path, [case(name, label, label) for name in names])
    written = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert written == {picture_file(name) for name in names} and len(written) == 4
