"""A trained network with its task: images in, masks of the same kind out."""

from __future__ import annotations

import copy
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
from kdseg.data.modality import check_modality
from kdseg.data.open import content_hash
from kdseg.deploy.kinds import to_tensor
from kdseg.deploy.registered import local_folder
from kdseg.masks import Maker
from kdseg.runtime.images import as_mask
from kdseg.runtime.student import check_image, fingerprint, reading_changes
from kdseg.task import (
    TrainedFolder,
    image_transforms,
    inferer,
    open_trained,
    postprocessing,
    prediction_transforms,
)
from kdseg.transforms import class_numbers_of

__all__ = ["Student"]


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
        changes = reading_changes(changes)
        with local_folder(folder) as place:
            self._open(open_trained(place), changes, device)

    def _open(self, trained: TrainedFolder, changes: Mapping[str, Any], device: str | torch.device | None) -> None:
        self.task = trained.task.changed(changes)
        self.history = trained.history
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.network = trained.network().to(self.device)
        self.prepare = prediction_transforms(self.task)
        self._inferer = inferer(self.task)
        method = str(self.history.get("method") or "")
        self.maker = Maker(self.task.name, method, fingerprint(content_hash(trained.weights), self.task))

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
            mask, meta = self.segment(str(self._checked(Path(image))))
            return as_mask(mask, image, meta)
        tensor = to_tensor(image, self.task)
        prepare = Compose(image_transforms(self.task))
        return as_mask(self.masks(prepare({"image": tensor}), prepare).numpy(), image, tensor.meta)

    def of_any_modality(self) -> Student:
        """The same student for DICOM images of other modalities than its task's as well."""
        other = copy.copy(self)
        other.task = self.task.changed({"modality": []})
        other.prepare = prediction_transforms(other.task)
        return other

    def segment(self, entry: str | Sequence[str]) -> tuple[np.ndarray, Mapping[str, Any]]:
        """Class numbers ``FWH`` or ``1WHD`` of a file, a series' folder or its files, and its meta data."""
        return self.timed_masks(self.prepared(self.read(entry)))[:2]

    def read(self, entry: str | Sequence[str]) -> Mapping[str, Any]:
        """The case of a file, of a series' folder, or of a series' files, as the reader gives it."""
        return self.prepare({"image": entry}, end=1)

    def prepared(self, case: Mapping[str, Any]) -> Mapping[str, Any]:
        """A case as it was read, as the network is fed it."""
        # what reading and preparing wrote down together is what is undone later
        return self.prepare(case, start=1)

    def timed_masks(self, case: Mapping[str, Any]) -> tuple[np.ndarray, Mapping[str, Any], float]:
        """Class numbers of a prepared case, its meta data, and the seconds in which the network was at work."""
        seconds: list[float] = []
        mask = self.masks(case, self.prepare, seconds)
        return mask.numpy(), case["image"].meta, sum(seconds)

    def masks(self, item: Mapping[str, Any], prepare: Compose, seconds: list[float] | None = None) -> Tensor:
        """Class numbers ``FWH`` of a picture's frames, or ``1WHD``, on the grid of the file.

        Args:
            item: a prepared case.
            prepare: what it went through.
            seconds: takes the time of the network for each frame.
        """
        image = item["image"]
        check_image(self.task, image)
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
            if seconds is not None:
                seconds.append(time.perf_counter() - started)
            done: Any = {"image": frame, "pred": logits[0].float().cpu().clone()}
            del logits
            # one by one, so that each lets go of what the one before has made: the logits of a volume are large
            for step in finish:
                done = step(done)
            found.append(class_numbers_of(torch.as_tensor(done["pred"]), done.get("probability")))
        return torch.cat(found)

    def _checked(self, path: Path) -> Path:
        check_modality(path, self.task.modality, self.task.name)
        return path
