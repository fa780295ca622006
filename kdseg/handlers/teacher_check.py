"""The teacher is measured before it teaches, and its lead over the student alone is told."""

from __future__ import annotations

import logging
from pathlib import Path

from ignite.engine import Events
from monai.engines import Workflow

from kdseg.data import content_hash
from kdseg.engines import is_main_process
from kdseg.errors import UserError
from kdseg.task import read_history

__all__ = ["TeacherCheck", "validation_alone"]

logger = logging.getLogger(__name__)


class TeacherCheck:
    """Runs the teacher on the validation cases before the first step and keeps its score in ``teacher_score``.

    A teacher below ``at_least`` is told in a warning: its weights may be wrong, or its input scaled in another way. So
    is one that does not lead: there is nothing to be had from it but what the unlabelled images bring.

    Args:
        evaluator: a MONAI evaluator of the teacher, with a key metric.
        at_least: the lowest score of the key metric that passes without a warning.
        alone: score of the student alone on the same cases, see :func:`validation_alone`; None where it is not known.
    """

    def __init__(self, evaluator: Workflow, at_least: float = 0.1, alone: float | None = None) -> None:
        self.evaluator = evaluator
        self.at_least = at_least
        self.alone = alone

    def attach(self, trainer: Workflow) -> None:
        trainer.add_event_handler(Events.STARTED, self)

    def __call__(self, trainer: Workflow) -> None:
        self.evaluator.run()
        name = self.evaluator.state.key_metric_name
        score = float(self.evaluator.state.metrics[name])
        trainer.state.teacher_score = score
        logger.info(f"teacher: {name} {score:.4f} on the validation cases")
        # every process has the score, one tells it
        if not is_main_process():
            return
        if not score >= self.at_least:
            logger.warning(
                f"the teacher scores {score:.4f} ({name}), below {self.at_least}: check its weights, its taps and that "
                "its input is prepared as in its own training"
            )
        if self.alone is not None:
            lead = score - self.alone
            logger.info(f"the student alone: {self.alone:.4f}, so the teacher's lead is {lead:+.4f}")
            if lead <= 0:
                logger.warning(
                    "the teacher does not lead the student alone: distillation has nothing to close. Train the teacher "
                    "longer, give it more width, or take several (kdseg train --cross-fit)"
                )


def validation_alone(folder: str | Path, datalist: str | Path, fold: int | None = None) -> float:
    """The best validation score of a student that was trained alone, measured on the same validation cases.

    Args:
        folder: of its training.
        datalist, fold: of the distillation.

    Raises:
        UserError: when there is no finished training, or one of another list or fold.
    """
    history = read_history(Path(folder))
    if "validation" not in history:
        fix = "train the student alone first (kdseg train), or leave alone out"
        raise UserError(folder, found="no finished training", expected="a student that was trained alone", fix=fix)
    if history["datalist"]["sha256"] != content_hash(datalist) or history.get("fold") != fold:
        fix = "train the student alone on the same list and fold, or leave alone out"
        found = "a training on another data list or fold"
        raise UserError(folder, found=found, expected="the same validation cases", fix=fix)
    return float(history["validation"]["value"])
