"""What a prediction did, as one JSON file: versions, device, student, and each case."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from kdseg._version import __version__
from kdseg.files import whole_file
from kdseg.masks.mask import Maker
from kdseg.masks.pipeline import Prediction

__all__ = ["write_report"]

PACKAGES = ("numpy", "torch", "monai", "onnxruntime", "openvino", "pydicom", "highdicom", "nibabel")


def write_report(done: Prediction, maker: Maker, path: str | Path, **facts: Any) -> Path:
    """Write what was done, whole or not at all.

    Inputs and outputs are named by their places below the sources and the output folder: no other part of a path is in
    the file, and nothing from a header but the pseudonym of a series.

    Args:
        done: what :func:`kdseg.masks.pipeline.segment_files` gave.
        maker: the network.
        path: of the JSON file.
        facts: more that stands once in the file, such as ``device="cpu"``.
    """
    versions = {"kdseg": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    content = {
        "versions": versions,
        "processor": platform.processor() or platform.machine(),
        "task": maker.task,
        "method": maker.method,
        "student": maker.student,
        **facts,
        "cases": [_public(case, done.output_dir) for case in done.cases],
        "done_before": done.done_before,
        "set_aside": [_without_folders(text) for text in done.set_aside],
    }
    path = Path(path)
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def _public(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    below = {
        name: [_below(path, folder) for path in value] if isinstance(value, list) else _below(value, folder)
        for name, value in case.items()
        if name in ("output", "outputs", "preview")
    }
    rest = {name: value for name, value in case.items() if name not in ("input", "shown", *below)}
    return {"input": case["shown"], **below, **rest}


def _below(path: str, folder: Path) -> str:
    return Path(path).relative_to(folder).as_posix()


def _without_folders(text: str) -> str:
    """A message without the folders of the paths in it."""
    where, found, rest = text.partition(": found ")
    return f"{Path(where).name}{found}{rest}"
