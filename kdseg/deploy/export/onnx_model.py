"""ONNX: the model, and its int8 form for ONNX Runtime."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdseg.deploy.export.graph import quiet_exporter
from kdseg.deploy.export.job import Job, Written
from kdseg.runtime import open_session

__all__ = ["OPSET", "describe", "make_onnx", "write_onnx", "write_onnx_int8"]

OPSET = 20
"""Of the ONNX standard; ONNX Runtime 1.17 and OpenVINO 2024 read it."""
INPUT = "image"


def make_onnx(program: Any, shape: Sequence[int | str], path: Path, output: str) -> Path:
    """Turn an exported program into a simplified ONNX model, batch norms folded into convolutions.

    Args:
        program: of ``torch.export``.
        shape: of the input, with the names of what is free.
        path: where it goes.
        output: name of the output.
    """
    import onnx
    import torch

    with quiet_exporter(), torch.no_grad():
        made: Any = torch.onnx.export(
            program,
            dynamo=True,
            optimize=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[output],
            verbose=False,
        )
        model = made.model_proto
    _tidy(model, shape)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def _tidy(model: Any, shape: Sequence[int | str]) -> None:
    """Give the free sizes their names, and take out what the exporter says of the source on this machine."""
    (entry,) = model.graph.input
    names = {}
    for dim, side in zip(entry.type.tensor_type.shape.dim, shape, strict=True):
        if dim.dim_param:
            names[re.sub(r"^\d+\*", "", dim.dim_param)] = re.sub(r"^\d+\*", "", str(side))
    for one in [*model.graph.input, *model.graph.output]:
        for dim in one.type.tensor_type.shape.dim:
            for found, name in names.items():
                if dim.dim_param:
                    dim.dim_param = re.sub(rf"\b{re.escape(found)}\b", name, dim.dim_param)
    # shapes on the way are found again by every runtime
    del model.graph.value_info[:]
    for part in [*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output, model.graph]:
        part.doc_string = ""
        del part.metadata_props[:]
    del model.metadata_props[:]


def describe(path: Path) -> dict[str, Any]:
    """Names and shapes of input and output, and the opset, of an ONNX file."""
    import onnx

    model = onnx.load(str(path), load_external_data=False)

    def entry(one: Any) -> dict[str, Any]:
        sides = [dim.dim_param or dim.dim_value for dim in one.type.tensor_type.shape.dim]
        return {"name": one.name, "shape": sides}

    return {
        "input": entry(model.graph.input[0]),
        "output": entry(model.graph.output[0]),
        "opset": next(one.version for one in model.opset_import if not one.domain),
    }


def write_onnx(job: Job) -> Written:
    """``model.onnx``."""
    path = Path(shutil.copy(job.onnx, job.folder / "model.onnx"))
    return Written([path.name], describe(path), open_session("onnx", path))


def write_onnx_int8(job: Job) -> Written:
    """``model_int8.onnx``: weights and activations in 8 bits, with scales from the calibration images."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.images: Iterator[np.ndarray] = iter(job.calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.images, None)
            return None if image is None else {INPUT: image}

    ready, path = job.work / "ready.onnx", job.folder / "model_int8.onnx"
    noise = logging.getLogger()
    level = noise.level
    noise.setLevel(logging.ERROR)
    try:
        quant_pre_process(str(job.onnx), str(ready), skip_symbolic_shape=True)
        quantize_static(
            str(ready),
            str(path),
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    finally:
        noise.setLevel(level)
    return Written([path.name], describe(path), open_session("onnx_int8", path))
