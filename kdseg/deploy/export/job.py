"""What a format is written from, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from kdseg.deploy.export.graph import exported_program
from kdseg.task import Task, TrainedFolder

__all__ = ["Job", "Written"]


@dataclass
class Written:
    """A format that was written.

    Attributes:
        files: below the export's folder; the first is the one that a runtime opens.
        facts: for ``export.json``: shapes, opset and the like.
        run: the model from ``BCH[WD]`` to its output, to be measured; None of what is no model.
    """

    files: Sequence[str]
    facts: dict[str, Any] = field(default_factory=dict)
    run: Callable[[np.ndarray], np.ndarray] | None = None


@dataclass
class Job:
    """What every format is written from.

    Attributes:
        trained: the student's folder.
        network: with its weights, in eval mode, on the CPU; gives ``output``.
        output: of :data:`~kdseg.deploy.export.outputs.OUTPUTS`.
        size: spatial size of what the network is fed of a real case.
        folder: where the files go; it is not yet in its place.
        work: for files that are needed on the way.
        calibration: images ``1CH[WD]`` of training cases, for int8.
        single_file, runtime_packages: of the web page, see :func:`kdseg.deploy.web.write_web`.
    """

    trained: TrainedFolder
    network: nn.Module
    output: str
    size: Sequence[int]
    folder: Path
    work: Path
    calibration: Sequence[np.ndarray] = ()
    single_file: bool = False
    runtime_packages: Sequence[str | Path] = ()

    @property
    def task(self) -> Task:
        return self.trained.task

    @cached_property
    def program(self) -> tuple[Any, tuple[int | str, ...]]:
        """The network as a graph, and the shape of its input; see :func:`exported_program`."""
        return exported_program(self.task, self.network, self.size)

    @cached_property
    def onnx(self) -> Path:
        """The ONNX model, made once, whichever formats start from it."""
        from kdseg.deploy.export.onnx_model import make_onnx

        program, shape = self.program
        return make_onnx(program, shape, self.work / "model.onnx", self.output)
