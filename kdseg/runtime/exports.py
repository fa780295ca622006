"""An export's folder: its task, the formats in it, and whether the files are as they were written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kdseg.data.open import content_hash
from kdseg.errors import UserError, suggestion
from kdseg.task.task import TASK_FILE, Task, read_task

__all__ = ["EXPORT_FILE", "EXPORT_VERSION", "PACKAGES", "Export", "is_export", "read_export"]

EXPORT_FILE = "export.json"
EXPORT_VERSION = 1
PACKAGES = {
    "openvino": "openvino",
    "onnx": "onnxruntime",
    "torchscript": "torch",
    "exported": "torch",
    "openvino_int8": "openvino",
    "onnx_int8": "onnxruntime",
}
"""Format → the package that runs it; of the formats in an export the first that can be run is taken."""


@dataclass(frozen=True)
class Export:
    """What :func:`read_export` finds.

    Attributes:
        path: the folder.
        task: what the network is fed and what comes out.
        content: of ``export.json``.
    """

    path: Path
    task: Task
    content: Mapping[str, Any]

    @property
    def formats(self) -> Mapping[str, Mapping[str, Any]]:
        """Format → what ``export.json`` says of it."""
        return self.content["formats"]

    def choose(self, wanted: str | None = None) -> str:
        """The format that is wanted; else the first of :data:`PACKAGES` that is there and can be run here.

        Raises:
            UserError: for a format that is not there, or whose package is not installed.
        """
        runnable = [name for name in PACKAGES if name in self.formats]
        if wanted is not None and wanted not in runnable:
            raise UserError(
                self.path,
                found=f"no format '{wanted}'",
                expected=f"one of {', '.join(runnable) or 'those that kdseg runs'}",
                fix=suggestion(wanted, runnable) if runnable else "export it: kdseg export STUDENT --to onnx …",
            )
        candidates = [wanted] if wanted is not None else runnable
        for name in candidates:
            if find_spec(PACKAGES[name]) is not None:
                return name
        packages = sorted({PACKAGES[name] for name in candidates})
        raise UserError(
            self.path,
            found=f"{', '.join(candidates) or 'no format that kdseg runs'}, and none of the packages for it",
            expected=" or ".join(packages) or "a model",
            fix=f"pip install {packages[0]}" if packages else "export it: kdseg export STUDENT --to onnx …",
        )

    def model(self, name: str) -> Path:
        """The file that a runtime opens for a format, after all files of the format were compared with their hashes.

        Raises:
            UserError: for a file that is missing or altered, and for an export whose output is no logits.
        """
        if self.content["output"] != "logits":
            raise UserError(
                self.path,
                found=f"models that give {self.content['output']}",
                expected="logits, which kdseg puts together from windows and frames",
                fix="export with --output logits, the default; other outputs are for other programs",
            )
        files = self.formats[name]["files"]
        for entry in files:
            _check_hash(self.path / entry["name"], entry["sha256"])
        return self.path / files[0]["name"]


def is_export(path: str | Path) -> bool:
    """Whether a folder is an export."""
    return (Path(path) / EXPORT_FILE).is_file()


def read_export(path: str | Path) -> Export:
    """The export in a folder; hashes of models are compared when one is chosen, that of the task at once.

    Raises:
        UserError: when there is none, when it is of a newer version or damaged, or its task was altered.
    """
    folder = Path(path)
    file = folder / EXPORT_FILE
    fix = "copy the folder again, or export again"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        found = f"no readable {EXPORT_FILE} ({type(error).__name__})"
        raise UserError(folder, found=found, expected="what kdseg export writes", fix=fix) from error
    if not isinstance(content, dict):
        raise UserError(file, found=type(content).__name__, expected="an object", fix=fix)
    version = content.get("schema")
    if version != EXPORT_VERSION:
        newer = f"install kdseg {content.get('kdseg_version', 'of that version')} or newer"
        raise UserError(file, found=f"an export of schema {version!r}", expected=f"{EXPORT_VERSION}", fix=newer)
    formats: Any = content.get("formats")
    files = [entry for one in formats.values() for entry in one["files"]] if _is_whole(formats) else [{}]
    if not all(_is_file(entry) for entry in files) or not {"output", "task"} <= content.keys():
        raise UserError(file, found="an export without its files or task", expected="both", fix=fix)
    _check_hash(folder / TASK_FILE, content["task"])
    return Export(folder, read_task(folder), content)


def _is_whole(formats: Any) -> bool:
    return isinstance(formats, dict) and all(isinstance(one, dict) and one.get("files") for one in formats.values())


def _is_file(entry: Any) -> bool:
    """A name below the folder, and a hash."""
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("name", "sha256")):
        return False
    name = Path(entry["name"])
    return not name.is_absolute() and ".." not in name.parts


def _check_hash(path: Path, expected: str) -> None:
    found = content_hash(path) if path.is_file() else None
    if found != expected:
        told = "no such file" if found is None else "a file that was altered after the export"
        raise UserError(path, found=told, expected=f"the file with SHA-256 {expected[:12]}…", fix="export again")
