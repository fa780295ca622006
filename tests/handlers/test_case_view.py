"""What the pictures of an evaluation show of a volume: the same view however it is stored, wrong classes as missed."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.engines import SupervisedEvaluator
from PIL import Image

from kdseg.handlers import CaseOverlays
from kdseg.handlers.case_view import case_view
from kdseg.pictures.overlay import COLOURS

SHAPE, SPACING = (6, 8, 5), (1.0, 1.0, 3.0)


def stored_as(codes: str) -> dict[str, torch.Tensor]:
    """One patient's volume with its axes in this order: bright at the right front of the highest labelled slice."""
    image, label = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    image[5, 7, 3], label[2:4, 2:4, 3], label[0, 0, 1] = 9, 1, 1
    # the arrays above run to the left, anterior and head
    given = np.diag([-SPACING[0], SPACING[1], SPACING[2], 1.0])
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(given), nibabel.orientations.axcodes2ornt(tuple(codes))
    )
    affine = torch.from_numpy(given @ nibabel.orientations.inv_ornt_aff(turn, SHAPE))
    turned = [nibabel.apply_orientation(array, turn).copy() for array in (image, label)]
    image, label = (MetaTensor(torch.from_numpy(array)[None], affine=affine) for array in turned)
    # neighbouring slices as channels: the middle one is the slice itself
    return {"image": torch.cat([image * 0, image, image * 0]), "label": label, "pred": label}


@pytest.mark.parametrize("codes", ["LAS", "RAS", "LPS", "RPI", "ASL", "SRP"])
def test_a_volume_is_seen_as_radiologists_see_it(codes: str) -> None:
    view = case_view(stored_as(codes))
    assert view.slice == (4, 5) and view.image.shape == (8, 6)
    # the patient's left on the right side, the front above
    assert np.argwhere(view.image == 9).tolist() == [[0, 5]]
    assert view.truth.sum() == 4 and (view.prediction == view.truth).all()


def test_long_pixels_are_repeated() -> None:
    item = stored_as("LPS")
    wide = torch.diag(torch.tensor([-2.0, -1.0, 3.0, 1.0], dtype=torch.float64))
    item["label"] = MetaTensor(item["label"].as_tensor(), affine=wide)
    assert case_view(item).truth.shape == (8, 12)


def test_a_wrong_class_is_no_hit(tmp_path: Path) -> None:
    label = torch.zeros(1, 1, 8, 8, 4)
    label[..., 2:6, 2:6, 1] = 2
    evaluator = SupervisedEvaluator(
        device="cpu",
        val_data_loader=[{"image": torch.rand(1, 1, 8, 8, 4), "label": label, "case": ["a"]}],
        network=torch.nn.Identity(),
        val_handlers=[CaseOverlays(tmp_path)],
        postprocessing=lambda item: {**item, "pred": item["label"].clamp(max=1)},
    )
    evaluator.run()
    picture = np.asarray(Image.open(tmp_path / "overlays.png")).astype(int)
    prediction = picture[26:282, 536:792]

    def marked(name: str) -> bool:
        # 7 parts of the colour, 3 of the grey below
        return bool((np.abs(prediction - 0.7 * np.array(COLOURS[name]) - 38).max(axis=2) <= 39).any())

    assert marked("missed") and not marked("found")
