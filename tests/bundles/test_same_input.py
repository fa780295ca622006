"""A student sees in prediction what it saw in validation, also with settings that are not the usual ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from kdseg.configuration import compose_bundle
from kdseg.data import load_datalist
from tests.bundles.tiny_bundles import BUNDLES, FORMS

UNUSUAL: dict[str, dict[str, Any]] = {"synapse_multiorgan": {"window": [-60, 140]}, "prostate_mri": {"n4": True}}
OVERLAYS: dict[str, tuple[list[str], list[str], dict[str, Any]]] = {
    "2-D": (["train"], ["inference", "inference_dicom"], {"patch_size": [32, 32]}),
    "3-D": (
        ["train", "train_3d"],
        ["inference", "inference_3d", "inference_dicom"],
        {"patch_size": [16, 16, 8], "spacing": [1.1, 0.9, 2.5]},
    ),
}


@pytest.mark.parametrize("overlays", OVERLAYS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", BUNDLES)
def test_validation_and_prediction_prepare_alike(name: str, form: str, overlays: str, tmp_path: Path) -> None:
    bundle = BUNDLES[name]
    training, inference, sizes = OVERLAYS[overlays]
    known = {**UNUSUAL[name], **sizes}
    datalist = bundle.prepare(tmp_path, form)
    (record,) = load_datalist(datalist, "test")
    trained = compose_bundle(bundle.folder, training, {**known, "datalist": str(datalist)})
    predicted = compose_bundle(bundle.folder, inference, {**known, "dataset_dir": str(tmp_path)}, kind="infer")
    first = trained.parser.get_parsed_content("validate#preprocessing")(record)["image"]
    second = predicted.parser.get_parsed_content("preprocessing")({"image": record["image"]})["image"]
    usual = compose_bundle(bundle.folder, inference, {**sizes, "dataset_dir": str(tmp_path)}, kind="infer")
    third = usual.parser.get_parsed_content("preprocessing")({"image": record["image"]})["image"]
    assert torch.equal(first, second) and torch.equal(first.affine, second.affine)
    assert not torch.equal(second, third)
