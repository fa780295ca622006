"""A trained network with its task: images in, masks of the same kind out."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import Compose
from torch import Tensor

from kdseg.configuration import quiet
from kdseg.data.open import content_hash, file_kind
from kdseg.deploy.kinds import from_mask, to_tensor
from kdseg.deploy.registered import local_folder
from kdseg.errors import UserError
from kdseg.masks import Maker
from kdseg.task import (
    Task,
    TrainedFolder,
    image_transforms,
    inferer,
    open_trained,
    postprocessing,
    prediction_transforms,
)
from kdseg.transforms import class_numbers_of

__all__ = ["Student", "WrongModalityError", "check_modality", "load"]

# what may be said anew for each file
READING = ("frame", "series", "uneven")


class WrongModalityError(UserError):
    """The image is of another modality than those that the network was trained for."""


class Student:
    """What ``kdseg train`` and ``kdseg distill`` leave in their folder, ready for use.

    Args:
        folder: of the training, or a bundle with weights in ``models/``, or the file of weights, or
            ``models:/name/version`` of MLflow's registry.
        device: "cpu", "cuda", …; None: CUDA where it is.
        changes: where and how to read: "frame", "series", "uneven", see :class:`kdseg.Task`; all else is as trained.

    Attributes:
        task: what the network is fed and what comes out.
        history: how it was trained.
        maker: how its masks are signed: task, method, and a hash of the weights and of the task, reading included.

    Raises:
        UserError: when there is no trained network, or its weights do not fit it; for another change.
    """

    def __init__(
        self, folder: str | Path, device: str | torch.device | None = None, changes: Mapping[str, Any] | None = None
    ) -> None:
        quiet()
        for name in changes or {}:
            if name not in READING:
                found, fix = "a change of what the network was trained with", "train another one with it"
                raise UserError(name, found=found, expected=f"{', '.join(READING)}, or none", fix=fix)
        with local_folder(folder) as place:
            self._open(open_trained(place), changes or {}, device)

    def _open(self, trained: TrainedFolder, changes: Mapping[str, Any], device: str | torch.device | None) -> None:
        self.task = trained.task.changed(changes)
        self.history = trained.history
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.network = trained.network().to(self.device)
        self.prepare = prediction_transforms(self.task)
        self._inferer = inferer(self.task)
        self.maker = Maker(
            self.task.name, str(self.history.get("method") or ""), _fingerprint(trained.weights, self.task)
        )

    def __call__(self, image: Any) -> Any:
        """The mask of an image: class numbers, 0 is the background.

        Args:
            image: a path; an array ``HW`` (picture), ``HW3`` (colour) or ``WHD`` (volume); a pair of a volume and its
                affine (4×4, index to mm, RAS); a nibabel or a SimpleITK image.

        Returns:
            of the same kind as the image: an array, a pair of mask and affine, a nibabel or a SimpleITK image; for a
            path a picture of Pillow, or a nibabel image for volumes and cines.

        Raises:
            UserError: when the image cannot be read or is no image of the task.

        Example::

            student = kdseg.load("out/student")
            mask = student(array)
        """
        if isinstance(image, (str, Path)):
            item = self.prepare({"image": str(self._checked(Path(image)))})
            return from_mask(self.masks(item, self.prepare), image, item["image"].meta)
        tensor = to_tensor(image, self.task)
        prepare = Compose(image_transforms(self.task))
        return from_mask(self.masks(prepare({"image": tensor}), prepare), image, tensor.meta)

    def masks(self, item: Mapping[str, Any], prepare: Compose) -> Tensor:
        """Class numbers ``FWH`` of a picture's frames, or ``1WHD``, on the grid of the file.

        Args:
            item: a prepared case.
            prepare: what it went through.
        """
        return self.timed_masks(item, prepare)[0]

    def timed_masks(self, item: Mapping[str, Any], prepare: Compose) -> tuple[Tensor, float]:
        """:meth:`masks`, and the seconds in which the network was at work."""
        image, seconds = item["image"], 0.0
        self._check_channels(image)
        # frames of a cine are channels, each an image of its own
        frames = (
            [image] if self.task.kind == "volume" or self.task.colour else [image[i : i + 1] for i in range(len(image))]
        )
        finish = postprocessing(self.task, prepare)
        found = []
        for frame in frames:
            plain = frame.as_tensor() if isinstance(frame, MetaTensor) else frame
            batch = plain[None].to(self.device)
            started = time.perf_counter()
            with torch.inference_mode():
                logits = self._inferer(batch, self.network)
            seconds += time.perf_counter() - started
            done: Any = {"image": frame, "pred": logits[0].float().cpu().clone()}
            del logits
            # one by one, so that each lets go of what the one before has made: the logits of a volume are large
            for step in finish:
                done = step(done)
            found.append(class_numbers_of(torch.as_tensor(done["pred"]), done.get("probability")))
        return torch.cat(found), seconds

    def _check_channels(self, image: Tensor) -> None:
        dimensions = 2 if self.task.kind == "picture" else 3
        if image.ndim - 1 != dimensions or (image.shape[0] != self.task.in_channels and self.task.kind == "volume"):
            raise UserError(
                "image",
                found=f"{image.shape[0]} channel(s) and {image.ndim - 1} axes",
                expected=f"{self.task.in_channels} and {dimensions}: a {self.task.kind}",
                fix=f"give an image of the task '{self.task.name}'",
            )
        if not bool(np.isfinite(np.asarray(image)).all()):
            raise UserError("image", found="values that are no numbers", expected="a number everywhere", fix="mend it")

    def _checked(self, path: Path) -> Path:
        check_modality(path, self.task.modality, self.task.name)
        return path


def check_modality(path: Path, wanted: Sequence[str], task: str) -> None:
    """Refuse a DICOM file, or a folder of such files, of other modalities than the task's.

    Raises:
        UserError: where headers name others only.
    """
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    other = ""
    for file in files if wanted else []:
        if file.is_file() and file_kind(file) == "dicom":
            modality = _modality(file)
            if not modality or modality in wanted:
                return
            other = other or modality
    if other:
        expected = f"{' or '.join(wanted)} for {task}"
        fix = "give the student of that kind of image, or another file; --force takes it all the same"
        raise WrongModalityError(path.name, found=f"modality {other}", expected=expected, fix=fix)


def _fingerprint(weights: Path, task: Task) -> str:
    """Sixteen digits that stand for weights and task."""
    content = {name: value for name, value in task.as_json().items() if name not in ("kdseg_version", "description")}
    words = content_hash(weights) + json.dumps(content, sort_keys=True)
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def _modality(path: Path) -> str:
    import pydicom

    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Modality"])
        return str(header.get("Modality", "") or "")
    except Exception:
        # the reader tells what is wrong with the file
        return ""


def load(folder: str | Path, device: str | torch.device | None = None, **changes: Any) -> Student:
    """A trained network, ready for images: ``load("out/student", frame="all")``; see :class:`Student`."""
    return Student(folder, device, changes)
