"""Weights from a file into a network: all of them or none."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kdseg.errors import UserError

__all__ = ["load_weights"]


def load_weights(network: nn.Module, path: str | Path, name: str = "checkpoint") -> nn.Module:
    """Load the weights at ``path`` into ``network``, all of them or none, and return the network.

    Args:
        network: the architecture that the file was saved from.
        path: a state dict, or a dictionary with one under "model" or "state_dict"; read with ``weights_only``.
        name: what the error message calls the file: "teacher checkpoint", for instance.

    Raises:
        UserError: when there is no such file, when it holds something else, or when a weight is missing, unexpected or
            of another shape; the report names the first of each.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{name} {path}", found="no such file", expected="a file of weights", fix="check the path")
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        found = f"a file that torch.load(weights_only=True) refuses ({type(error).__name__})"
        fix = "save the network's state_dict() with torch.save; the file may also be truncated"
        raise UserError(f"{name} {path}", found=found, expected="tensors and plain values only", fix=fix) from error
    for key in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        fix = "save the network's state_dict()"
        raise UserError(f"{name} {path}", found=type(content).__name__, expected="a state dict", fix=fix)
    weights = {str(key).removeprefix("module."): value for key, value in content.items()}
    own = network.state_dict()
    shape = [key for key in own if key in weights and own[key].shape != getattr(weights[key], "shape", None)]
    report = {
        "missing": [key for key in own if key not in weights],
        "unexpected": [key for key in weights if key not in own],
        "other shape": [f"{k} {tuple(weights[k].shape)} instead of {tuple(own[k].shape)}" for k in shape],
    }
    faults = [
        f"{len(keys)} {kind} ({', '.join(keys[:3])}{', …' if len(keys) > 3 else ''})"
        for kind, keys in report.items()
        if keys
    ]
    if faults:
        raise UserError(
            f"{name} {path}",
            found="weights of another architecture: " + "; ".join(faults),
            expected=f"the {len(own)} tensors of {type(network).__name__}",
            fix="use the network that the file was saved from (task.json beside it says which), or the right file",
        )
    broken = [key for key, value in weights.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        found, fix = f"values that are no numbers in {len(broken)} tensors, the first {broken[0]}", "train it again"
        raise UserError(f"{name} {path}", found=found, expected="finite weights", fix=fix)
    network.load_state_dict(weights, strict=True)
    return network
