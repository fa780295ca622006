from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.transforms import Compose, Invertd, Orientationd, Resized

from kdseg.configuration import bundle_folder
from kdseg.errors import UserError
from kdseg.transforms import N4BiasFieldCorrectiond, NeighbourSlicesd, RandSliced


def test_every_slice_is_drawn_as_often_and_fits_its_label() -> None:
    volume = torch.arange(5.0).expand(1, 2, 3, 5)
    draw = RandSliced(["image", "label"], neighbours=3)
    draw.set_random_state(0)
    drawn = [draw({"image": volume, "label": volume}) for _ in range(500)]
    assert drawn[0]["image"].shape == (3, 2, 3) and drawn[0]["label"].shape == (1, 2, 3)
    places = torch.tensor([record["label"][0, 0, 0] for record in drawn])
    assert all(70 < (places == place).sum() < 130 for place in range(5))
    for record in drawn:
        before, itself, after = record["image"][:, 0, 0].tolist()
        place = record["label"][0, 0, 0].item()
        assert (before, itself, after) == (max(place - 1, 0), place, min(place + 1, 4))


def test_only_slices_with_a_label_are_drawn() -> None:
    label = torch.zeros(1, 2, 2, 9)
    label[0, 1, 1, [2, 7]] = 1
    draw = RandSliced(["image", "label"], label_key="label")
    drawn = {
        draw({"image": torch.arange(9.0).expand(1, 2, 2, 9), "label": label})["image"].max().item() for _ in range(40)
    }
    assert drawn == {2, 7}
    with pytest.raises(UserError, match="empty label map"):
        draw({"image": label, "label": torch.zeros_like(label)})
    with pytest.raises(UserError, match="an odd number"):
        RandSliced(["image"], neighbours=2)


def test_neighbours_are_channels_and_the_way_back_stays_known() -> None:
    image = MetaTensor(torch.rand(1, 6, 8, 4), affine=torch.diag(torch.tensor([-1.0, -2.0, 3.0, 1.0])))
    forward = Compose([Orientationd("image", "RAS"), Resized("image", [3, 4, -1]), NeighbourSlicesd("image", 3)])
    record = forward({"image": image})
    assert record["image"].shape == (3, 3, 4, 4)
    # what the plain inference.json of the prostate bundle does in their place
    config = json.loads((bundle_folder("prostate_mri") / "configs" / "inference.json").read_text())
    plain = next(step for step in config["preprocessing"]["transforms"] if "Lambdad" in str(step))
    own = Compose(
        [
            Orientationd("image", "RAS"),
            Resized("image", [3, 4, -1]),
            ConfigParser({"it": plain}).get_parsed_content("it"),
        ]
    )
    other = own({"image": image})
    assert torch.equal(record["image"].as_tensor(), other["image"].as_tensor())
    for transform, item in ((forward, record), (own, other)):
        item["pred"] = MetaTensor(item["image"][1:2].as_tensor())
        back = Invertd("pred", transform=transform, orig_keys="image", nearest_interp=True)(item)["pred"]
        assert back.shape == image.shape and np.allclose(back.affine, image.affine)


def test_n4_evens_out_a_bright_side() -> None:
    torch.manual_seed(0)
    tissue = torch.zeros(1, 32, 32, 4)
    tissue[:, 4:28, 4:28] = 100 + 2 * torch.randn(1, 24, 24, 4)
    field = torch.linspace(0.6, 1.6, 32)[:, None, None]
    corrected = N4BiasFieldCorrectiond("image", shrink=2, iterations=[30, 30])({"image": tissue * field})["image"]
    left, right = corrected[:, 6:12, 6:26].mean(), corrected[:, 20:26, 6:26].mean()
    assert corrected.shape == tissue.shape and 0.85 < right / left < 1.2


def test_a_missing_simpleitk_is_told_with_the_way_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(UserError, match=r"pip install 'kdseg\[n4\]'"):
        N4BiasFieldCorrectiond("image")
