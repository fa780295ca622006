"""Soft labels once: the teacher's map of every training case, made before the training and kept in files.

A step then costs what a step of the student alone costs, whatever the teacher costs, an ensemble too.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.transforms import Compose, EnsureChannelFirstd, LoadImaged
from torch import Tensor

from kdseg.data.lists.cache import contents
from kdseg.data.open import content_hash
from kdseg.distill.teacher import Teacher
from kdseg.distill.teachers.cross_fit import CrossFitTeacher
from kdseg.distill.teachers.seen_cases import image_hashes
from kdseg.files import whole_file
from kdseg.losses.labels import Head, probabilities
from kdseg.task import Task, image_reader, image_transforms, inferer

__all__ = ["SOFT_LABELS", "SoftLabels", "soft_logits"]

logger = logging.getLogger(__name__)

SOFT_LABELS = "soft_labels"
"""Key of the maps in records and batches."""

LEAST = 1e-4
"""Probability that stands for the byte 0: below half a step, and its logarithm is a number."""

# these say nothing of what the network is fed or what comes out
_ASIDE = ("name", "description", "layout", "metrics", "refuse", "network", "kdseg_version")


def soft_logits(maps: Tensor, head: Head) -> Tensor:
    """Logits ``BKH[WD]`` of maps of probabilities: of K classes for a sigmoid head, of all but background for softmax.

    Example:
        >>> soft_logits(torch.tensor([[[0.5]]]), "softmax").softmax(1).flatten().tolist()
        [0.5, 0.5]
    """
    if head == "softmax":
        maps = torch.cat([1 - maps.sum(1, keepdim=True), maps], 1)
        return maps.clamp_min(LEAST).log()
    return torch.logit(maps, LEAST)


class SoftLabels:
    """A folder with the teacher's maps of cases: one file a case, bytes, 255 for probability 1.

    A file is known by the content of the image, by how the task prepares it, and by the teacher with all its weights:
    whatever changes, another map is made, and none that is out of date is ever found. Softmax heads leave out the
    background, so that padding with zeros is background.

    Args:
        folder: of the maps, several teachers' side by side; None: none are made, the teacher is asked in every step.
        teacher: whose maps they are.
        task: of the student.
        device: where the maps are made.
    """

    def __init__(
        self, folder: str | Path | None, teacher: Teacher, task: Task, device: torch.device | str = "cpu"
    ) -> None:
        self.folder = None if folder is None else Path(folder)
        self.teacher = teacher
        self.task = task
        self.device = torch.device(device)

    def joined(self, records: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The records with the path of their map under "soft_labels"; what is missing is made now."""
        if self.folder is None:
            return [dict(record) for record in records]
        task = {key: value for key, value in self.task.as_json().items() if key not in _ASIDE}
        teachers = self._teachers(records)
        digests = {id(teacher): _digest(teacher) for teacher in teachers}
        keys = [
            _key(task, digests[id(teacher)], self._content(Path(record["image"])))
            for record, teacher in zip(records, teachers, strict=True)
        ]
        paths = [self.folder / f"{key}.npy" for key in keys]
        missing = [place for place, path in enumerate(paths) if not path.is_file()]
        if missing:
            logger.info(f"soft labels: {len(missing)} of {len(records)} images are shown to the teacher")
            load = [LoadImaged("image", image_reader(self.task)), EnsureChannelFirstd("image")]
            prepare = Compose([*load, *image_transforms(self.task)])
            for place in missing:
                image = prepare({"image": records[place]["image"]})["image"]
                with whole_file(paths[place]) as temporary, temporary.open("wb") as stream:
                    np.save(stream, self._map(torch.as_tensor(image), teachers[place]))
        return [{**record, SOFT_LABELS: str(path)} for record, path in zip(records, paths, strict=True)]

    def _content(self, path: Path) -> list[str]:
        """Hashes of what the image is read from; of a picture that file alone, whatever lies beside it."""
        return contents(path) if self.task.kind == "volume" else [content_hash(path)]

    def _teachers(self, records: Sequence[Mapping[str, Any]]) -> list[Teacher]:
        """Of each record the teacher that may say something of it; equal ones are one object."""
        if not isinstance(self.teacher, CrossFitTeacher):
            return [self.teacher] * len(records)
        known: dict[tuple[bool, ...], Teacher] = {}
        found = []
        for image in image_hashes(records):
            who = tuple(image in seen for seen in self.teacher.trained_on)
            if who not in known:
                known[who] = self.teacher.unbiased(image).to(self.device)
            found.append(known[who])
        return found

    def _map(self, image: Tensor, teacher: Teacher) -> np.ndarray:
        logits = torch.as_tensor(inferer(self.task)(image[None].to(self.device), teacher)).float()
        maps = probabilities(logits, self.task.head)[0]
        maps = maps[1:] if self.task.head == "softmax" else maps
        return (255 * maps).round().to(torch.uint8).cpu().numpy()


def _key(task: Mapping[str, Any], teacher: str, image: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps([task, teacher, image], sort_keys=True).encode()).hexdigest()[:32]


def _digest(teacher: Teacher) -> str:
    """Of everything that decides what the teacher says: its layers, its weights, what stands before and behind it."""
    digest = hashlib.sha256()
    for part in (teacher.network, teacher.conversion, teacher.class_map):
        if part is None:
            continue
        digest.update(repr(part).encode())
        for module in part.modules():
            # numbers beside the weights, as a map of classes has them
            digest.update(repr(sorted((k, repr(v)) for k, v in vars(module).items() if _is_plain(v))).encode())
        for name, value in part.state_dict().items():
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
            digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(part, (int, float, str)) for part in value.values())
    return isinstance(value, (bool, int, float, str))
