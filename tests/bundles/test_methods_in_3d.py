"""Every method by name in three dimensions, through the prostate bundle's volumes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from kdseg.configuration import run_bundle
from kdseg.distill.methods import METHODS
from tests.bundles.tiny_bundles import PROSTATE
from tests.tasks import TEACHER

TINY = {"patch_size": [16, 16, 16], "spacing": [0.8, 0.7, 3.0], "network": {**TEACHER, "base_channels": 2}}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("methods_in_3d")
    PROSTATE.prepare(folder)
    PROSTATE.train_teacher(folder, "train_3d", **TINY)
    return folder


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_trains_in_3d(work: Path, method: str) -> None:
    more: dict[str, Any] = {"batch_size": 4 if method in ("sp", "rkd") else 2, "paraphraser_steps": 1}
    known = PROSTATE.settings(work, method, teacher=str(work / "teacher"), method=method, **TINY, **more)
    workflow = run_bundle(PROSTATE.folder, ["train", "train_3d", "distill"], known)
    means = workflow.parser.get_parsed_content("train#trainer").state.term_means
    assert set(METHODS[method].terms) & set(means) and all(math.isfinite(value) for value in means.values())
    saved = torch.load(work / method / "model.pt", weights_only=True)
    assert all(value.ndim == 5 for name, value in saved.items() if name.endswith("conv1.weight"))
