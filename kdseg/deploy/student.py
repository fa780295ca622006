"""A trained network with its task: images in, masks of the same kind out."""

from __future__ import annotations

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
from kdseg.deploy.kinds import to_tensor
from kdseg.runtime.images import as_mask
from kdseg.runtime.student import check_image, reading_changes
from kdseg.task import (
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
        folder: of the training, or a bundle with weights in ``models/``, or the file of weights.
        device: "cpu", "cuda", …; None: CUDA where it is.
        changes: where and how to read: "frame", "series", "uneven", see :class:`kdseg.Task`; all else is as trained.

    Attributes:
        task: what the network is fed and what comes out.
        history: how it was trained.

    Raises:
        UserError: when there is no trained network, or its weights do not fit it; for another change.
    """

    def __init__(
        self, folder: str | Path, device: str | torch.device | None = None, changes: Mapping[str, Any] | None = None
    ) -> None:
        quiet()
        changes = reading_changes(changes)
        trained = open_trained(folder)
        self.task = trained.task.changed(changes)
        self.history = trained.history
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.network = trained.network().to(self.device)
        self.prepare = prediction_transforms(self.task)
        self._inferer = inferer(self.task)

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

    def segment(self, entry: str | Sequence[str]) -> tuple[np.ndarray, Mapping[str, Any]]:
        """Class numbers ``FWH`` or ``1WHD`` of a file, a series' folder or its files, and its meta data."""
        item = self.prepare({"image": entry})
        return self.masks(item, self.prepare).numpy(), item["image"].meta

    def masks(self, item: Mapping[str, Any], prepare: Compose) -> Tensor:
        """Class numbers ``FWH`` of a picture's frames, or ``1WHD``, on the grid of the file.

        Args:
            item: a prepared case.
            prepare: what it went through.
        """
        image = item["image"]
        check_image(self.task, image)
        # frames of a cine are channels, each an image of its own
        frames = (
            [image] if self.task.kind == "volume" or self.task.colour else [image[i : i + 1] for i in range(len(image))]
        )
        finish = Compose(postprocessing(self.task, prepare))
        found = []
        for frame in frames:
            plain = frame.as_tensor() if isinstance(frame, MetaTensor) else frame
            batch = plain[None].to(self.device)
            with torch.inference_mode():
                logits = self._inferer(batch, self.network)
            done = finish({"image": frame, "pred": logits[0].float().cpu().clone()})
            found.append(class_numbers_of(torch.as_tensor(done["pred"]), done.get("probability")))
        return torch.cat(found)

    def _checked(self, path: Path) -> Path:
        check_modality(path, self.task.modality, self.task.name)
        return path
