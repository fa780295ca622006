"""A model of an export in the place of a trained network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from kdseg.runtime import RUNTIMES, is_export, open_session, read_export
from kdseg.task import TrainedFolder, open_trained

__all__ = ["ExportedFolder", "ModelNetwork", "open_folder"]


class ModelNetwork(nn.Module):
    """Calls a function of arrays where a network is wanted; without weights and gradients.

    Args:
        run: from images ``BCH[WD]`` to logits ``BKH[WD]``, both float32.

    Example:
        >>> ModelNetwork(lambda images: 2 * images)(torch.ones(1, 1, 2, 2)).sum().item()
        8.0
    """

    def __init__(self, run: Callable[[np.ndarray], np.ndarray]) -> None:
        super().__init__()
        self.run = run

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self.run(images.detach().cpu().numpy())).to(images.device)


@dataclass(frozen=True)
class ExportedFolder(TrainedFolder):
    """An export as a trained network's folder; ``weights`` is the model that is run.

    Attributes:
        runtime: that runs it.
    """

    runtime: str = "onnx"

    def network(self) -> nn.Module:
        return ModelNetwork(open_session(self.runtime, self.weights))


def open_folder(path: str | Path, runtime: str | None = None) -> TrainedFolder:
    """A trained network's folder, or an export in its place.

    Args:
        path: see :func:`kdseg.task.open_trained`; or what ``kdseg export`` wrote.
        runtime: of an export, the format that is used; None: the best one that can be run here.

    Raises:
        UserError: as :func:`kdseg.task.open_trained` and :func:`kdseg.runtime.read_export`.
    """
    if not is_export(path):
        return open_trained(path)
    export = read_export(path)
    name = export.choose(runtime)
    model = export.model(name)
    return ExportedFolder(export.path, export.task, model, name) if name in RUNTIMES else open_trained(model)
