"""Tasks and trained networks' folders that the tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from kdseg.task import HISTORY_FILE, Task, network, write_json

TEACHER = {"name": "unet", "base_channels": 3}
"""A network that has all usual taps."""

VARIED = {"name": "basic_unet", "features": [4, 4, 4, 4, 4, 4]}
"""Normalises each image by itself: untrained, it gives other things at other places."""


def tiny_task(**values: Any) -> Task:
    """One class in grey pictures, normalised; the student is a network of two channels."""
    known = {
        "name": "tiny",
        "kind": "picture",
        "classes": ["thing"],
        "head": "sigmoid",
        "z_score": True,
        "network": {"name": "thin_unet", "base_channels": 2},
    }
    first = Task(**known)
    return first.changed(values) if values else first


def trained_folder(folder: Path, task: Task, seed: int = 0, **history: Any) -> nn.Module:
    """Write task, weights that are not trained, and, where there is some, history; the network."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    made = network(task).eval()
    torch.save(made.state_dict(), folder / "model.pt")
    task.write(folder)
    if history:
        write_json(history, folder / HISTORY_FILE)
    return made
