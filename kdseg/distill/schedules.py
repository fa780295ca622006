"""How the weight of a term changes over a training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from kdseg.errors import UserError, suggestion

__all__ = ["CONSTANT", "Schedule", "ScheduleKind", "read_schedule"]

ScheduleKind = Literal["constant", "ramp", "decay", "tenfold_decay"]


@dataclass(frozen=True)
class Schedule:
    """A factor on a term's weight, from the step of the training.

    - "constant": 1;
    - "ramp": from 0 up to 1 over ``steps``, in a straight line, 1 from there on;
    - "decay": from 1 down to 0 over ``steps``, in a straight line, 0 from there on;
    - "tenfold_decay": ``10^(−step / steps)``, a tenth after each ``steps``: the schedule of adaptive affinity fields
      (arXiv 1803.10335).

    Args:
        kind: one of the above.
        steps: a whole number of them, or a share of all steps of the training (0.5: until half time).

    Example:
        >>> [Schedule("ramp", 4).factor(step, total=100) for step in (0, 1, 4, 9)]
        [0.0, 0.25, 1.0, 1.0]
    """

    kind: ScheduleKind = "constant"
    steps: int | float = 1.0

    def factor(self, step: int, total: int) -> float:
        """The factor at a step, counted from 0, of a training of ``total`` steps."""
        share = step / max(1, self.steps * total if isinstance(self.steps, float) else self.steps)
        if self.kind == "ramp":
            return min(1.0, share)
        if self.kind == "decay":
            return max(0.0, 1.0 - share)
        return float(10**-share) if self.kind == "tenfold_decay" else 1.0


CONSTANT = Schedule()


def read_schedule(value: Any, where: str = "schedule") -> Schedule:
    """The schedule that a configuration writes as ``"ramp"``, ``{"ramp": 500}`` or ``{"ramp": 0.5}``.

    Args:
        value: a kind, or one kind and its number of steps, or their share of the training.
        where: what an error message calls the setting.

    Raises:
        UserError: for an unknown kind, with the near name, and for steps that are neither a whole number nor a share.

    Example:
        >>> read_schedule({"tenfold_decay": 200}).factor(200, total=1000)
        0.1
    """
    if isinstance(value, Schedule):
        return value
    kinds = get_args(ScheduleKind)
    form = 'write "ramp", {"ramp": 500} for 500 steps, or {"ramp": 0.5} for half of the training'
    if isinstance(value, Mapping) and len(value) == 1:
        ((kind, steps),) = value.items()
    elif isinstance(value, str):
        kind, steps = value, 1.0
    else:
        raise UserError(where, found=repr(value), expected=f"one of {', '.join(kinds)}", fix=form)
    if kind not in kinds:
        raise UserError(
            where, found=repr(kind), expected=f"one of {', '.join(kinds)}", fix=suggestion(str(kind), kinds)
        )
    whole = isinstance(steps, int) and not isinstance(steps, bool) and steps >= 1
    if not whole and not (isinstance(steps, float) and 0 < steps <= 1):
        raise UserError(where, found=repr(steps), expected="a whole number of steps, or a share of all", fix=form)
    return Schedule(cast(ScheduleKind, kind), steps)
