"""An evaluation measures what the task asks of all pixels together, too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from kdseg.data.lists.datalist import save_datalist
from kdseg.deploy import evaluation_data, run_evaluation
from kdseg.task import Task


class Bright(nn.Module):
    """What is brighter than the middle grey is class 1."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.zeros_like(image), image - 0.5], dim=1)


def test_whole_set(tmp_path: Path) -> None:
    cases = []
    for number, width in enumerate((32, 64)):
        picture, mask = np.zeros((32, width), np.uint8), np.zeros((32, width), np.uint8)
        picture[:, :16], mask[:, : 16 + 8 * number] = 200, 255
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
        Image.fromarray(mask).save(tmp_path / f"{number}_mask.png")
        cases.append({"image": f"{number}.png", "label": f"{number}_mask.png", "case": str(number), "patient": number})
    labels = {"0": "background", "1": "thing"}
    save_datalist({"labels": labels, "root": ".", "training": [], "test": cases}, tmp_path / "list.json")
    network = {"name": "thin_unet"}
    task = Task("bright", "picture", ["thing"], network, metrics=["dice", "accuracy", "mean_iou"])
    run_evaluation(task, Bright(), evaluation_data(task, tmp_path / "list.json"), tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    # 8 of the 96 columns are wrong
    assert summary["whole_set"] == {
        "accuracy": pytest.approx(88 / 96),
        "mean_iou": pytest.approx((32 / 40 + 56 / 64) / 2),
    }
    assert list(summary["metrics"]) == ["dice"]
