"""The formats of ``kdseg export``, by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from kdseg.errors import UserError, suggestion

if TYPE_CHECKING:
    from kdseg.deploy.export.job import Job, Written

__all__ = ["FORMATS", "ExportFormat", "chosen_formats"]


@dataclass(frozen=True)
class ExportFormat:
    """One value of ``--to``.

    Attributes:
        writer: ``module:function`` of this package, from a :class:`~kdseg.deploy.export.job.Job` to what was
            :class:`~kdseg.deploy.export.job.Written`; loaded when it is used.
        words: what it is, for the export's README.
        packages: that it is written with, beside torch.
        int8: the name of its int8 form, where it has one.
        extra: of kdseg, that brings the packages.
    """

    writer: str
    words: str
    packages: Sequence[str] = ()
    int8: str | None = None
    extra: str = "onnx"

    def write(self, job: Job) -> Written:
        """Write the files of the format into the job's folder."""
        module, _, function = self.writer.partition(":")
        return getattr(importlib.import_module(f"kdseg.deploy.export.{module}"), function)(job)

    def check(self, name: str) -> None:
        """Refuse a format whose packages are not installed.

        Raises:
            UserError: with what to install.
        """
        missing = self.missing()
        if missing:
            fix = f"pip install 'kdseg[{self.extra}]'"
            raise UserError(f"--to {name}", found=f"no package {', '.join(missing)}", expected="it", fix=fix)

    def missing(self) -> list[str]:
        """Those of the packages that are not installed."""
        return [package for package in self.packages if find_spec(package) is None]


_ONNX = ("onnx", "onnxscript", "onnxruntime")

FORMATS: Mapping[str, ExportFormat] = {
    "onnx": ExportFormat("onnx_model:write_onnx", "for ONNX Runtime", _ONNX, int8="onnx_int8"),
    "openvino": ExportFormat(
        "openvino_model:write_openvino",
        "for OpenVINO, on processors of Intel and AMD",
        (*_ONNX[:2], "openvino"),
        int8="openvino_int8",
        extra="onnx,openvino",
    ),
    "torchscript": ExportFormat("torch_models:write_torchscript", "for LibTorch and `torch.jit.load`"),
    "exported": ExportFormat("torch_models:write_exported", "for `torch.export.load` and `torch.compile`"),
    "bundle": ExportFormat("monai_bundle:write_bundle", "for programs of MONAI: a bundle without kdseg"),
    "web": ExportFormat("web_page:write_page", "a page that segments in the reader's own browser", _ONNX),
    "mlflow": ExportFormat("mlflow_model:write_mlflow", "for `mlflow models serve`: images in, masks out"),
    "onnx_int8": ExportFormat("onnx_model:write_onnx_int8", "8 bits, for ONNX Runtime", _ONNX),
    "openvino_int8": ExportFormat(
        "openvino_model:write_openvino_int8",
        "8 bits, for OpenVINO",
        (*_ONNX[:2], "openvino", "nncf"),
        extra="onnx,openvino",
    ),
}
"""Name → format. Those whose name ends in ``_int8`` come with ``--int8``, after the one that they are made of."""


def chosen_formats(words: Sequence[str], int8: bool) -> dict[str, ExportFormat]:
    """The formats of ``--to``, with their int8 forms.

    Raises:
        UserError: for an unknown or missing name, one that cannot be written here, and ``--int8`` without a format
            that has such a form.
    """
    names = [name for name, one in FORMATS.items() if not name.endswith("_int8")]
    for word in words:
        if word == "tensorrt":
            raise UserError(
                "--to tensorrt",
                found="a format that is compiled for one graphics card, on a machine that has it",
                expected=", ".join(names),
                fix="use --to onnx here, and trtexec --onnx=model.onnx of NVIDIA's TensorRT on the CUDA machine",
            )
        if word not in names:
            raise UserError("--to", found=f"'{word}'", expected=", ".join(names), fix=suggestion(word, names))
    if not words:
        raise UserError("--to", found="no format", expected=", ".join(names), fix="name one")
    chosen = {}
    for word in words:
        chosen[word] = FORMATS[word]
        if int8 and FORMATS[word].int8:
            chosen[str(FORMATS[word].int8)] = FORMATS[str(FORMATS[word].int8)]
    if int8 and not any(name.endswith("_int8") for name in chosen):
        found, fix = f"--to {','.join(words)}", "add onnx or openvino to --to"
        raise UserError("--int8", found=found, expected="a format that has an int8 form", fix=fix)
    for name, one in chosen.items():
        one.check(name)
    return chosen
