"""The teacher is measured before it teaches."""

from __future__ import annotations

import logging

from ignite.engine import Events
from monai.engines import Workflow

from kdseg.engines import is_main_process

__all__ = ["TeacherCheck"]

logger = logging.getLogger(__name__)


class TeacherCheck:
    """Runs the teacher on the validation cases before the first step and keeps its score in ``teacher_score``.

    A teacher below ``at_least`` is told in a warning: its weights may be wrong, or its input scaled in another way.

    Args:
        evaluator: a MONAI evaluator of the teacher, with a key metric.
        at_least: the lowest score of the key metric that passes without a warning.
    """

    def __init__(self, evaluator: Workflow, at_least: float = 0.1) -> None:
        self.evaluator = evaluator
        self.at_least = at_least

    def attach(self, trainer: Workflow) -> None:
        trainer.add_event_handler(Events.STARTED, self)

    def __call__(self, trainer: Workflow) -> None:
        self.evaluator.run()
        name = self.evaluator.state.key_metric_name
        score = float(self.evaluator.state.metrics[name])
        trainer.state.teacher_score = score
        logger.info(f"teacher: {name} {score:.4f} on the validation cases")
        # every process has the score, one tells it
        if is_main_process() and not score >= self.at_least:
            logger.warning(
                f"the teacher scores {score:.4f} ({name}), below {self.at_least}: check its weights, its taps and that "
                "its input is prepared as in its own training"
            )
