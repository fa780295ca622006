"""A student ready for images: a trained network's folder, or an export, which is used without torch where it can be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdseg.errors import UserError
from kdseg.runtime import RUNTIMES, RuntimeStudent, is_export, open_student, read_export

if TYPE_CHECKING:
    import torch

    from kdseg.deploy.student import Student

__all__ = ["load"]


def load(
    folder: str | Path, device: str | torch.device | None = None, runtime: str | None = None, **changes: Any
) -> Student | RuntimeStudent:
    """A trained network, ready for images: ``load("out/student", frame="all")``.

    Args:
        folder: see :class:`~kdseg.deploy.Student`; or what ``kdseg export`` wrote.
        device: "cpu", "cuda", … for torch; ONNX Runtime and OpenVINO run on the CPU.
        runtime: of an export, the format that is used; None: the best one that can be run here.
        changes: where and how to read: "frame", "series", "uneven".

    Raises:
        UserError: as the student's; for a file of an export that is missing or altered, and a runtime that it does not
            have.
    """
    if is_export(folder):
        export = read_export(folder)
        name = export.choose(runtime)
        if name in RUNTIMES:
            return open_student(export, name, changes)
        folder = export.model(name)
    elif runtime is not None:
        fix = "export it first: kdseg export STUDENT --to onnx …"
        raise UserError("runtime", found=f"'{runtime}' for a trained network", expected="none", fix=fix)
    from kdseg.deploy.student import Student

    return Student(folder, device, changes)
