"""What a trained network's folder says of its training: the task, the history, a card with a picture."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Events
from monai.engines import Workflow
from torch import nn

from kdseg._version import __version__
from kdseg.configuration import Configuration
from kdseg.data import content_hash
from kdseg.distill.teachers.seen_cases import image_hashes
from kdseg.engines import is_main_process
from kdseg.handlers.checkpoints import fingerprint
from kdseg.handlers.history import validations
from kdseg.handlers.model_card import write_card
from kdseg.handlers.provenance import data_list_facts, environment, without_private_parts
from kdseg.metrics import improvement
from kdseg.networks.weights import load_weights
from kdseg.settings import training_settings
from kdseg.task import HISTORY_FILE, Task, network, read_history, write_for_monai
from kdseg.task.folder import FOR_MONAI, write_json

__all__ = ["RecordWriter", "TrainingRecord"]

logger = logging.getLogger(__name__)

PACKAGES = ("kdseg", "torch", "monai", "pytorch-ignite")


class TrainingRecord:
    """The facts of one training, for its folder, its checkpoint and MLflow.

    Args:
        output_dir: folder of the training.
        task: what the network is fed and what comes out.
        datalist: the data list.
        role: "teacher", "student_alone" or "student_distilled".
        configuration: all settings, as :class:`kdseg.configuration.Workflow` gives them; None under MONAI's own
            workflow.
        settings: how it learns: method, seed, fold, learning rate, …
    """

    def __init__(
        self,
        output_dir: str | Path,
        task: Task,
        datalist: str | Path,
        role: str,
        configuration: Configuration | None = None,
        **settings: Any,
    ) -> None:
        self.output_dir = Path(output_dir)
        self.task = task
        self.datalist = Path(datalist)
        self.role = role
        self.configuration = configuration
        self.settings = settings

    @property
    def key(self) -> str:
        """Of everything that decides what the training gives: a stopped one goes on only with the same."""
        known = {} if self.configuration is None else training_settings(self.configuration.content)
        task = {key: value for key, value in self.task.as_json().items() if key != "kdseg_version"}
        # the task says it all, wherever its file lies
        known = {key: value for key, value in known.items() if key != "task"}
        return fingerprint(task=task, settings=self.settings, configuration=known, list=content_hash(self.datalist))


class RecordWriter:
    """Writes ``task.json`` and ``history.json`` when a training starts, and all else of its folder when it ends.

    ``history.json`` names no case and no path: who has the same image file can tell from its hash that it was used.

    Args:
        record: of the training.
        records: cases that are trained on.
        student: the network.
        evaluator: the validating engine.
    """

    def __init__(
        self, record: TrainingRecord, records: Sequence[Mapping[str, Any]], student: nn.Module, evaluator: Workflow
    ) -> None:
        self.record = record
        self.records = records
        self.student = student
        self.evaluator = evaluator

    def attach(self, trainer: Workflow) -> None:
        trainer.add_event_handler(Events.STARTED, self.start)
        trainer.add_event_handler(Events.COMPLETED, self.complete)

    def start(self, trainer: Workflow) -> None:
        if not is_main_process():
            return
        record = self.record
        if trainer.state.iteration == 0:
            # of another training: its weights would be taken for this one's
            for name in ("model.pt", *FOR_MONAI):
                (record.output_dir / name).unlink(missing_ok=True)
        record.task.write(record.output_dir)
        facts = environment(trainer.state.device)
        content = {
            "kdseg_version": __version__,
            "task": record.task.name,
            "role": record.role,
            **without_private_parts(record.settings),
            "datalist": data_list_facts(record.datalist),
            "images_sha256": sorted(set(image_hashes(self.records))),
            "python": facts["python"],
            "device": facts["device"],
            "packages": {name: facts["packages"].get(name, "?") for name in PACKAGES},
            "started_at": _now(),
        }
        write_json(content, record.output_dir / HISTORY_FILE)

    def complete(self, trainer: Workflow) -> None:
        weights = self.record.output_dir / "model.pt"
        if not is_main_process() or not weights.is_file():
            return
        state, folder = self.evaluator.state, self.record.output_dir
        scores = {"metric": state.key_metric_name, "epoch": int(state.best_metric_epoch)}
        history = {
            **read_history(folder),
            "epochs": trainer.state.epoch,
            "steps": trainer.state.iteration,
            "validation": {**scores, "value": float(state.best_metric)},
            "improvement": improvement(validations(folder / "history.csv", state.key_metric_name)),
            "finished_at": _now(),
        }
        if hasattr(trainer.state, "teacher_score"):
            history["teacher_validation"] = trainer.state.teacher_score
        write_json(history, folder / HISTORY_FILE)
        if history["improvement"]["has_stopped"] is False:
            gain = history["improvement"]["last_quarter_gain"]
            logger.info(f"still improving when it ended: the last quarter of the validations gained {gain:.4f}")
        trained = load_weights(network(self.record.task), weights).eval()
        write_for_monai(folder, self.record.task, trained)
        write_card(folder, self.record.task, history, trained, self.record.datalist, self.record.settings.get("fold"))


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
