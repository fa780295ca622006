"""What is kept of a training: the best student for use, and everything else for resuming."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Events
from monai.engines import Workflow
from torch import nn

from kdseg.engines import is_main_process
from kdseg.errors import UserError
from kdseg.files import save_atomically

__all__ = ["BestModel", "StopEarly", "TrainingCheckpoint", "fingerprint"]

logger = logging.getLogger(__name__)


def fingerprint(**settings: Any) -> str:
    """A short key of the settings that make two trainings the same; JSON values, other things by their text.

    Example:
        >>> fingerprint(method="kd", seed=0) == fingerprint(seed=0, method="kd")
        True
    """
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:16]


class BestModel:
    """Saves the weights of ``network`` whenever the evaluator's key metric is the best so far.

    MONAI's CheckpointSaver forgets the best value when a training resumes; here it comes back with
    :class:`TrainingCheckpoint`. The file is the plain state dict of the network: no teacher, adapter or optimiser.

    Args:
        network: the student (or the teacher, when that is what is trained).
        path: where to save it, for instance ``out/student/model.pt``.

    Raises:
        UserError: when the evaluator has no cases: no weights would ever be saved.
    """

    def __init__(self, network: nn.Module, path: str | Path) -> None:
        self.network = network
        self.path = Path(path)

    def attach(self, evaluator: Workflow) -> None:
        if evaluator.state.epoch_length == 0:
            found, fix = "no cases", "give kdseg prepare a second fraction above 0, for example --fractions 0.6 0.2 0.2"
            raise UserError("validation", found=found, expected="some: they choose the weights that are kept", fix=fix)
        evaluator.add_event_handler(Events.COMPLETED, self)

    def __call__(self, evaluator: Workflow) -> None:
        if evaluator.state.best_metric_epoch == evaluator.state.epoch and is_main_process():
            weights = {name: value.detach().cpu() for name, value in self.network.state_dict().items()}
            save_atomically(weights, self.path)


class StopEarly:
    """Ends the training when the key metric has not become better for ``patience`` epochs.

    It keeps no count of its own, so that a resumed training stops where an uninterrupted one would; one that had
    stopped already does not begin again. In the list of handlers it stands behind what resumes.

    Args:
        evaluator: the validating engine, with a key metric.
        patience: epochs without a better value; 0 never stops.
    """

    def __init__(self, evaluator: Workflow, patience: int) -> None:
        self.evaluator = evaluator
        self.patience = patience

    def attach(self, trainer: Workflow) -> None:
        if self.patience > 0:
            trainer.add_event_handler(Events.STARTED, self)
            trainer.add_event_handler(Events.EPOCH_COMPLETED, self)

    def __call__(self, trainer: Workflow) -> None:
        best = self.evaluator.state.best_metric_epoch
        if best >= 0 and trainer.state.epoch - best >= self.patience:
            logger.info(f"no better validation since epoch {best}: stopped after epoch {trainer.state.epoch}")
            trainer.terminate()


class TrainingCheckpoint:
    """Saves all that a training needs to go on after it was killed, and goes on from there when started again.

    Must be the last handler of the trainer, so that validation and schedules of an epoch are done when it saves. Random
    numbers need no place in the file: :class:`~kdseg.handlers.ReproducibleEpochs` draws them anew for every epoch.

    Args:
        path: the file, for instance ``out/student/training.pt``; holds tensors and plain values only.
        objects: name → anything with ``state_dict`` and ``load_state_dict``: network, optimiser, scheduler, terms,
            handlers.
        evaluator: its best metric is kept.
        key: :func:`fingerprint` of the settings; a file of another training is refused.
        every: epochs between two savings; the last epoch is always saved.
        resume: start from the file when it is there.

    Raises:
        UserError: when the file belongs to a training with other settings, or cannot be read.
    """

    def __init__(
        self,
        path: str | Path,
        objects: Mapping[str, Any],
        evaluator: Workflow | None = None,
        key: str = "",
        every: int = 1,
        resume: bool = True,
    ) -> None:
        self.path = Path(path)
        self.objects = dict(objects)
        self.evaluator = evaluator
        self.key = key
        self.every = every
        self.resume = resume

    def attach(self, trainer: Workflow) -> None:
        if self.resume and self.path.is_file():
            trainer.add_event_handler(Events.STARTED, self.load)
        trainer.add_event_handler(Events.EPOCH_COMPLETED(every=self.every), self.save)
        trainer.add_event_handler(Events.COMPLETED, self.save)

    def save(self, trainer: Workflow) -> None:
        if not is_main_process():
            return
        content: dict[str, Any] = {name: thing.state_dict() for name, thing in self.objects.items()}
        content["key"] = self.key
        content["trainer"] = {"epoch": trainer.state.epoch, "iteration": trainer.state.iteration}
        scaler = getattr(trainer, "scaler", None)
        if scaler is not None:
            content["scaler"] = scaler.state_dict()
        if self.evaluator is not None:
            state = self.evaluator.state
            best = state.best_metric
            best = best.item() if isinstance(best, torch.Tensor) else float(best)
            content["best"] = {"metric": best, "epoch": int(state.best_metric_epoch)}
        save_atomically(content, self.path)

    def load(self, trainer: Workflow) -> None:
        try:
            content = torch.load(self.path, map_location=trainer.state.device, weights_only=True)
        except Exception as error:
            fix = "delete the file to start anew"
            found = f"a file that cannot be read ({type(error).__name__})"
            raise UserError(self.path, found=found, expected="a training checkpoint", fix=fix) from error
        missing = [name for name in self.objects if name not in content]
        if content.get("key") != self.key or missing:
            found = "the checkpoint of a training with other settings"
            fix = "choose another --output_dir, or delete the file to start anew"
            raise UserError(self.path, found=found, expected="the same settings and data list", fix=fix)
        for name, thing in self.objects.items():
            thing.load_state_dict(content[name])
        trainer.state.epoch = content["trainer"]["epoch"]
        trainer.state.iteration = content["trainer"]["iteration"]
        scaler = getattr(trainer, "scaler", None)
        if scaler is not None and "scaler" in content:
            scaler.load_state_dict(content["scaler"])
        if self.evaluator is not None and "best" in content:
            self.evaluator.state.best_metric = content["best"]["metric"]
            self.evaluator.state.best_metric_epoch = content["best"]["epoch"]
        logger.info(f"resumed from {self.path} after epoch {trainer.state.epoch} of {trainer.state.max_epochs}")
