"""A model's file as a function from an array to an array, in ONNX Runtime or OpenVINO."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kdseg.errors import UserError

if TYPE_CHECKING:
    import openvino

__all__ = ["RUNTIMES", "Session", "open_session", "openvino_core"]

Run = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Session:
    """A model, ready to be called with images ``BCH[WD]`` in float32.

    Attributes:
        run: the model.
        shape: of its input; names stand for what is free.
    """

    run: Run
    shape: Sequence[int | str]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """What the model gives for the images.

        Raises:
            UserError: for images of another size than the model was exported for.
        """
        wanted, found = self.shape[1:], images.shape[1:]
        if len(wanted) != len(found) or any(
            isinstance(side, int) and side != size for side, size in zip(wanted, found, strict=True)
        ):
            raise UserError(
                "image",
                found=f"{'×'.join(map(str, found))} for the network",
                expected=f"{'×'.join(map(str, wanted))}, which the model was exported for",
                fix="use the student's own folder, whose network takes other sizes",
            )
        images = np.ascontiguousarray(images, dtype=np.float32)
        batch = self.shape[0]
        if isinstance(batch, int) and batch != len(images):
            return np.concatenate([self.run(images[i : i + 1]) for i in range(len(images))])
        return self.run(images)


def _onnx(path: Path, threads: int | None) -> Session:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # what it warns of is for those who write models
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    return Session(lambda images: session.run(None, {entry.name: images})[0], entry.shape)


@cache
def openvino_core() -> openvino.Core:
    """OpenVINO's core, one for the life of the process, with its CPU device loaded.

    Each core that loads the CPU device gives the thread a stack for signals, and frees it when the core goes. Of two
    cores the second keeps the first one's stack to put it back: when both have gone the thread has a stack that was
    freed, and the next signal that Python handles, such as that of a loader process that ends, kills the process.
    """
    import openvino

    core = openvino.Core()
    core.get_property("CPU", "FULL_DEVICE_NAME")
    return core


def _openvino(path: Path, threads: int | None) -> Session:
    # some processors would compute in half precision otherwise
    settings: dict[str, str | int] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    compiled = openvino_core().compile_model(str(path), "CPU", settings)
    sides = [side.get_length() if side.is_static else "any" for side in compiled.inputs[0].partial_shape]
    return Session(lambda images: compiled([images])[0], sides)


RUNTIMES: Mapping[str, Callable[[Path, int | None], Session]] = {
    "onnx": _onnx,
    "onnx_int8": _onnx,
    "openvino": _openvino,
    "openvino_int8": _openvino,
}
"""Format → what opens it without torch."""


def open_session(name: str, path: Path, threads: int | None = None) -> Session:
    """Open a model.

    Args:
        name: of the format, a key of :data:`RUNTIMES`.
        path: of the model's file.
        threads: how many it computes with; None: as many as the runtime thinks best.

    Raises:
        UserError: for a file that the runtime cannot read.
    """
    try:
        return RUNTIMES[name](path, threads)
    except Exception as error:
        # each runtime has errors of its own
        reason = str(error).strip().splitlines()[-1][:200]
        found = f"a model that cannot be opened ({type(error).__name__}: {reason})"
        raise UserError(path, found=found, expected=f"a whole {name} model", fix="export again") from error
