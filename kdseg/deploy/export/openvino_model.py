"""OpenVINO: the model, and its int8 form by NNCF."""

from __future__ import annotations

import io
import logging
import os
from contextlib import redirect_stdout
from typing import Any

from kdseg.deploy.export.job import Job, Written
from kdseg.deploy.export.onnx_model import describe
from kdseg.runtime import open_session, openvino_core

__all__ = ["write_openvino", "write_openvino_int8"]


def write_openvino(job: Job) -> Written:
    """``model.xml`` and ``model.bin``, in float32."""
    return _saved(job, _read(job), "openvino", "model")


def write_openvino_int8(job: Job) -> Written:
    """``model_int8.xml`` and ``model_int8.bin``: 8 bits, with scales from the calibration images."""
    # NNCF tells its makers that it was used, unless it thinks that it is tested
    os.environ.setdefault("NNCF_CI", "1")
    import nncf

    # not nncf.set_log_level: it sets the handlers of other programs, which they put there, as well
    logging.getLogger("nncf").setLevel(logging.ERROR)
    images = nncf.Dataset(list(job.calibration))
    # its progress goes to where the command's JSON goes
    with redirect_stdout(io.StringIO()):
        quantised = nncf.quantize(_read(job), images, subset_size=len(job.calibration))
    return _saved(job, quantised, "openvino_int8", "model_int8")


def _read(job: Job) -> Any:
    # not openvino.convert_model, which tells its makers that it was used
    return openvino_core().read_model(str(job.onnx))


def _saved(job: Job, model: Any, name: str, stem: str) -> Written:
    import openvino

    path = job.folder / f"{stem}.xml"
    # float16 weights would be another network
    openvino.save_model(model, str(path), compress_to_fp16=False)
    # its own words for free sizes say less than the ONNX model's
    return Written([path.name, f"{stem}.bin"], describe(job.onnx), open_session(name, path))
