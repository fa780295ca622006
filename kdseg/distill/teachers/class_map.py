"""The teacher's classes seen as the student's."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from kdseg.errors import UserError
from kdseg.losses.labels import Head

__all__ = ["ClassMap"]


class ClassMap(nn.Module):
    """Turns the teacher's logits into logits of the student's classes.

    - softmax to softmax: probabilities of teacher classes that are merged are summed. Teacher classes that map nowhere
      go to the background (class 0).
    - sigmoid to sigmoid: the channels are not exclusive, so the probability of a union is not known; the largest of the
      merged probabilities is taken, its lower bound. Channels that map nowhere are left out: background has no channel.
    - softmax to sigmoid: probabilities are summed, and the rest of the classes is the student channel's "no".

    Every student class must get something: a teacher that does not know a class cannot say that it is absent.

    Args:
        class_map: teacher class → student class, for instance ``{"0": 0, "1": 1, "2": 1}``; classes are numbers of
            channels.
        classes: output channels of the student.
        head: of the student.
        teacher_head: of the teacher.

    Raises:
        UserError: for entries that are no class numbers, student classes that get nothing or do not exist, and a
            sigmoid teacher for a softmax student.

    Example:
        >>> organs_and_tumour = ClassMap({0: 0, 1: 1, 2: 1}, classes=2)
        >>> organs_and_tumour(torch.log(torch.tensor([0.5, 0.3, 0.2])).reshape(1, 3, 1, 1)).exp().flatten()
        tensor([0.5000, 0.5000])
    """

    def __init__(
        self,
        class_map: Mapping[str | int, int],
        classes: int,
        head: Head = "softmax",
        teacher_head: Head | None = None,
    ) -> None:
        super().__init__()
        self.head: Head = head
        self.teacher_head: Head = teacher_head or head
        self.classes = classes
        if (self.teacher_head, head) == ("sigmoid", "softmax"):
            raise _error(
                "a sigmoid teacher for a softmax student",
                "channels of the teacher that exclude each other",
                "train the student with a sigmoid head",
            )
        try:
            self.map = {int(teacher): int(student) for teacher, student in class_map.items()}
        except (TypeError, ValueError, AttributeError) as error:
            fix = 'write teacher class → student class, for instance {"0": 0, "1": 1, "2": 1}'
            raise _error(repr(class_map), "numbers of classes", fix) from error
        wrong = sorted(set(self.map.values()) - set(range(classes)))
        if wrong or min(self.map, default=0) < 0:
            found = f"the student class {wrong[0]}" if wrong else f"the teacher class {min(self.map)}"
            raise _error(
                found, f"student classes 0 to {classes - 1}, teacher classes from 0", "correct it, or out_channels"
            )
        given = set(self.map.values()) | ({0} if head == "softmax" else set())
        without = [str(number) for number in range(classes) if number not in given]
        if without:
            raise _error(
                f"no teacher class for the student's class {', '.join(without)}",
                "one for each: a teacher that does not know a class cannot teach that it is absent",
                "map a teacher class to it, or choose a teacher that knows it",
            )

    def forward(self, logits: Tensor) -> Tensor:
        """Student's logits from the teacher's logits ``BKH[WD]``.

        Raises:
            UserError: when the teacher has no such class, or when one student channel would get every class.
        """
        known = logits.shape[1]
        if max(self.map, default=0) >= known:
            raise _error(
                f"the teacher class {max(self.map)}", f"0 to {known - 1}, the teacher's classes", "correct the number"
            )
        target = dict(self.map)
        if self.head == "softmax":
            target = {number: self.map.get(number, 0) for number in range(known)}
        parts = [[t for t, s in sorted(target.items()) if s == student] for student in range(self.classes)]
        empty = [student for student, numbers in enumerate(parts) if not numbers]
        if empty:  # background without a teacher class: known only now that the number of classes is
            raise _error("no teacher class for the background", "one at least", "map the teacher's background to 0")
        if self.teacher_head == "sigmoid":
            return torch.cat([logits[:, numbers].amax(1, keepdim=True) for numbers in parts], 1)
        # in the log domain and float32: sums of small probabilities would vanish
        log_p = F.log_softmax(logits.float(), 1)
        if self.head == "softmax":
            return torch.cat([log_p[:, numbers].logsumexp(1, keepdim=True) for numbers in parts], 1)
        return torch.cat([_odds(log_p, numbers) for numbers in parts], 1)


def _odds(log_p: Tensor, numbers: list[int]) -> Tensor:
    rest = [number for number in range(log_p.shape[1]) if number not in numbers]
    if not rest:
        fix = "leave the teacher's background out of the map"
        raise _error("every teacher class in one student channel", "a class that stands for 'no'", fix)
    return log_p[:, numbers].logsumexp(1, keepdim=True) - log_p[:, rest].logsumexp(1, keepdim=True)


def _error(found: str, expected: str, fix: str) -> UserError:
    return UserError("class_map", found=found, expected=expected, fix=fix)
