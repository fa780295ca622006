"""For programs that have torch: TorchScript, and a program of ``torch.export``."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kdseg.deploy.export.graph import quiet_exporter
from kdseg.deploy.export.job import Job, Written
from kdseg.errors import UserError, reason_of

__all__ = ["open_exported", "open_torchscript", "write_exported", "write_torchscript"]


def write_torchscript(job: Job) -> Written:
    """``model.ts``: traced and frozen, batch norms folded into convolutions."""
    path = job.folder / "model.ts"
    example = torch.zeros(1, job.task.in_channels, *job.size)
    with torch.no_grad(), warnings.catch_warnings():
        # of sizes that are read while tracing: whether they matter is measured on real cases
        warnings.simplefilter("ignore")
        try:
            torch.jit.freeze(torch.jit.trace(job.network, example, check_trace=False)).save(str(path))
        except Exception as error:
            # whatever a network of the user's runs into
            found = f"that it cannot be traced ({reason_of(error)[:300]})"
            name = f"network '{job.task.network['name']}'"
            raise UserError(name, found=found, expected="a network that can", fix="use --to onnx") from error
    shape = ["batch", job.task.in_channels, *(["any"] * len(job.size))]
    facts = {"input": {"name": "image", "shape": shape}, "output": {"name": job.output, "shape": shape[:1]}}
    facts["output"]["shape"] = ["batch", _channels(job), *shape[2:]]
    return Written([path.name], facts, _function(open_torchscript(path)))


def write_exported(job: Job) -> Written:
    """``model.pt2``: for ``torch.export.load`` and ``torch.compile``."""
    path = job.folder / "model.pt2"
    program, shape = job.program
    with quiet_exporter():
        torch.export.save(program, str(path))
    facts = {
        "input": {"name": "image", "shape": list(shape)},
        "output": {"name": job.output, "shape": [shape[0], _channels(job), *shape[2:]]},
    }
    return Written([path.name], facts, _function(open_exported(path)))


def open_torchscript(path: Path) -> nn.Module:
    """The model of a ``model.ts``."""
    return torch.jit.load(str(path), map_location="cpu").eval()


def open_exported(path: Path) -> nn.Module:
    """The model of a ``model.pt2``."""
    with quiet_exporter():
        return torch.export.load(str(path)).module()


def _channels(job: Job) -> int:
    return 1 if job.output == "classes" else job.task.out_channels


def _function(model: Any) -> Callable[[np.ndarray], np.ndarray]:
    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(images)).numpy()

    return run
