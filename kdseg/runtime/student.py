"""An exported student without torch: images in, masks of the same kind out."""

from __future__ import annotations

import copy
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kdseg.data.modality import check_modality
from kdseg.errors import UserError
from kdseg.masks import Maker
from kdseg.runtime.decision import class_numbers
from kdseg.runtime.exports import Export
from kdseg.runtime.grids import Undo, on_network_grid
from kdseg.runtime.images import as_mask, from_program
from kdseg.runtime.intensity import with_intensity
from kdseg.runtime.sessions import open_session
from kdseg.runtime.windows import logits_of
from kdseg.task.folder_files import read_history
from kdseg.task.steps import reading
from kdseg.task.task import Task

__all__ = ["PreparedImage", "RuntimeStudent", "check_image", "fingerprint", "open_student", "reading_changes"]

# what may be said anew for each file
READING = ("frame", "series", "uneven")


@dataclass(frozen=True)
class PreparedImage:
    """An image as the network is fed it.

    Attributes:
        values: ``CWH[D]`` on the network's grid.
        meta: of the file.
        back: from that grid to the file's.
    """

    values: np.ndarray
    meta: Mapping[str, Any]
    back: Undo


class RuntimeStudent:
    """A model of another runtime, used as :class:`kdseg.deploy.Student` is, but without torch and MONAI.

    Args:
        task: what the network is fed and what comes out.
        model: from ``BCH[WD]`` to logits ``BKH[WD]``.
        history: how it was trained.
        student: what its masks are known by again, see :func:`fingerprint`.
    """

    device = "cpu"

    def __init__(
        self,
        task: Task,
        model: Callable[[np.ndarray], np.ndarray],
        history: Mapping[str, Any] | None = None,
        student: str = "",
    ) -> None:
        self.task, self.model, self.history = task, model, dict(history or {})
        self.maker = Maker(task.name, str(self.history.get("method") or ""), student)

    def __call__(self, image: Any) -> Any:
        """The mask of an image, of the same kind; see :meth:`kdseg.deploy.Student.__call__`."""
        if isinstance(image, (str, Path)):
            check_modality(Path(image), self.task.modality, self.task.name)
            mask, meta = self.segment(str(image))
            return as_mask(mask, image, meta)
        values, meta = from_program(image, self.task)
        return as_mask(self.masks(self.prepare(values, meta)), image, meta)

    def of_any_modality(self) -> RuntimeStudent:
        """The same student for DICOM images of other modalities than its task's as well."""
        other = copy.copy(self)
        other.task = self.task.changed({"modality": []})
        return other

    def segment(self, entry: str | Sequence[str]) -> tuple[np.ndarray, Mapping[str, Any]]:
        """Class numbers ``FWH`` or ``1WHD`` of a file, a series' folder or its files, and its meta data."""
        return self.timed_masks(self.prepared(self.read(entry)))[:2]

    def prepared(self, image: tuple[np.ndarray, Mapping[str, Any]]) -> PreparedImage:
        """An image as :meth:`read` gives it, as the network is fed it."""
        return self.prepare(*image)

    def timed_masks(self, image: PreparedImage) -> tuple[np.ndarray, Mapping[str, Any], float]:
        """Class numbers of a prepared image, its meta data, and the seconds in which the network was at work."""
        seconds: list[float] = []
        return self.masks(image, seconds), image.meta, sum(seconds)

    def read(self, entry: str | Sequence[str]) -> tuple[np.ndarray, dict[str, Any]]:
        """The image ``CWH[D]`` of a file, of a series' folder, or of a series' files, and its meta data."""
        paths = [Path(entry)] if isinstance(entry, str) else [Path(name) for name in entry]
        for path in paths:
            if not path.exists():
                raise UserError(path.name, found="no such file or folder", expected="an image", fix="check the path")
        settings = reading(self.task, choose=True)
        if self.task.kind == "picture":
            from kdseg.data.frames.picture_files import PictureFiles

            values, meta = PictureFiles(**settings).get_data(paths)
        else:
            from kdseg.data.volumes.volume_files import VolumeFiles

            values, meta = VolumeFiles(**settings).get_data(paths)
            values = values[None]
        return values.astype(np.float32, copy=False), {**meta, "filename_or_obj": str(paths[0])}

    def prepare(self, values: np.ndarray, meta: Mapping[str, Any]) -> PreparedImage:
        """An image as it was read, as the network is fed it."""
        affine = np.asarray(meta["affine"], dtype=np.float64)
        image, back = on_network_grid(self.task, with_intensity(self.task, values, affine), affine)
        if self.task.neighbours > 1:
            half, places = self.task.neighbours // 2, np.arange(image.shape[-1])
            shifted = [np.clip(places + shift, 0, len(places) - 1) for shift in range(-half, half + 1)]
            image = np.concatenate([image[..., place] for place in shifted])
        return PreparedImage(image, meta, back)

    def masks(self, prepared: PreparedImage, seconds: list[float] | None = None) -> np.ndarray:
        """Class numbers ``FWH`` of a picture's frames, or ``1WHD``, on the grid of the file.

        Args:
            prepared: the image.
            seconds: takes the time of the network for each frame.
        """
        image = prepared.values
        check_image(self.task, image)
        # frames of a cine are channels, each an image of its own
        whole = self.task.kind == "volume" or self.task.colour
        found = []
        for frame in [image] if whole else [image[place : place + 1] for place in range(len(image))]:
            started = time.perf_counter()
            logits = logits_of(self.task, frame, self.model)
            if seconds is not None:
                seconds.append(time.perf_counter() - started)
            found.append(class_numbers(self.task, logits, prepared.back))
        return np.concatenate(found)


def open_student(export: Export, name: str, changes: Mapping[str, Any] | None = None) -> RuntimeStudent:
    """An ONNX or OpenVINO model of an export, ready for images.

    Args:
        export: see :func:`kdseg.runtime.read_export`.
        name: of its format; see :meth:`~kdseg.runtime.Export.choose`.
        changes: where and how to read: "frame", "series", "uneven", see :class:`kdseg.Task`; all else is as trained.

    Raises:
        UserError: for a file that is missing or altered, and for another change.
    """
    task = export.task.changed(reading_changes(changes))
    file = export.model(name)
    made_of = fingerprint(export.formats[name]["files"][0]["sha256"], task)
    return RuntimeStudent(task, open_session(name, file), read_history(export.path), made_of)


def fingerprint(weights: str, task: Task) -> str:
    """Sixteen digits that stand for the hash of a network's weights and for its task."""
    content = {name: value for name, value in task.as_json().items() if name not in ("kdseg_version", "description")}
    return hashlib.sha256((weights + json.dumps(content, sort_keys=True)).encode()).hexdigest()[:16]


def reading_changes(changes: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The changes, if they are of what may be said anew for each file.

    Raises:
        UserError: for another one.
    """
    for name in changes or {}:
        if name not in READING:
            found, fix = "a change of what the network was trained with", "train another one with it"
            raise UserError(name, found=found, expected=f"{', '.join(READING)}, or none", fix=fix)
    return changes or {}


def check_image(task: Task, image: Any) -> None:
    """Refuse an image ``CWH[D]`` of other channels or axes than the task's, or with values that are no numbers.

    Raises:
        UserError: for each of these.
    """
    dimensions = 2 if task.kind == "picture" else 3
    if image.ndim - 1 != dimensions or (image.shape[0] != task.in_channels and task.kind == "volume"):
        raise UserError(
            "image",
            found=f"{image.shape[0]} channel(s) and {image.ndim - 1} axes",
            expected=f"{task.in_channels} and {dimensions}: a {task.kind}",
            fix=f"give an image of the task '{task.name}'",
        )
    if not bool(np.isfinite(np.asarray(image)).all()):
        raise UserError(
            "image", found="values that are no numbers", expected="a number everywhere", fix="put numbers there"
        )
