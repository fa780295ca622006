"""Cross-fitted teachers: an image is taught by those alone that were not trained on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from kdseg.distill.teacher import Teacher
from kdseg.distill.teachers.ensemble import ProbabilityMean
from kdseg.errors import UserError
from kdseg.losses.labels import Head
from kdseg.task import read_history

__all__ = ["CROSS_FIT_FILE", "CrossFitTeacher", "cross_fit_members", "soft_label_folder"]

CROSS_FIT_FILE = "cross_fit.json"


class CrossFitTeacher(Teacher):
    """The mean of all members' probabilities; of an image that some have seen, the mean of the others alone.

    Args:
        members: networks that give logits of the same classes.
        seen: of each member the hashes of the images that it was trained on.
        head: of the members.
        class_map: see :class:`~kdseg.distill.Teacher`.
    """

    def __init__(
        self, members: Sequence[nn.Module], seen: Sequence[set[str]], head: Head, class_map: nn.Module | None = None
    ) -> None:
        super().__init__(ProbabilityMean(members, head), class_map=class_map, only_logits="an ensemble")
        self.members = list(members)
        self.trained_on = [set(images) for images in seen]
        self.head: Head = head

    def unbiased(self, image: str) -> Teacher:
        """The teacher of an image, given by its hash: those members that have not seen it.

        Raises:
            UserError: when all of them have.
        """
        blind = [member for member, images in zip(self.members, self.trained_on, strict=True) if image not in images]
        if not blind:
            fix = "cross-fit teachers on the data list (and the fold) that the student is trained on"
            raise UserError("teacher", found="an image that all have seen", expected="one that has not", fix=fix)
        return Teacher(ProbabilityMean(blind, self.head), class_map=self.class_map)


def cross_fit_members(folder: str | Path) -> list[tuple[Path, float]]:
    """Folder and temperature of each teacher of a cross-fit; none where ``folder`` is no finished cross-fit.

    Raises:
        UserError: when its record is damaged.
    """
    path = Path(folder) / CROSS_FIT_FILE
    if not path.is_file():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [(path.parent / str(one["folder"]), float(one["temperature"])) for one in content["teachers"]]
    except (ValueError, KeyError, TypeError) as error:
        found, fix = f"no readable record ({type(error).__name__})", "give the command of the cross-fit again"
        raise UserError(path, found=found, expected="what kdseg train --cross-fit writes", fix=fix) from error


def seen_images(folder: Path) -> set[str]:
    """The hashes of the images that the teacher in a folder was trained on.

    Raises:
        UserError: when it has no record of them.
    """
    found: Any = read_history(folder).get("images_sha256")
    if found is None:
        fix = "copy history.json with the weights"
        raise UserError(folder, found="no record of training images", expected="history.json with them", fix=fix)
    return set(found)


def soft_label_folder(teacher: str | Path | Sequence[str | Path]) -> str | None:
    """Where the maps of a cross-fit lie, beside its teachers; None for any other teacher.

    A cross-fit teaches by soft labels alone: only before the training it is known which image a map is of.
    """
    names = [teacher] if isinstance(teacher, (str, Path)) else list(teacher)
    return str(Path(names[0]) / "soft_labels") if len(names) == 1 and cross_fit_members(names[0]) else None
