"""Records a training or an evaluation in MLflow.

MONAI's MLFlowHandler is not used: it mixes runs that share a name, never marks one as failed, and dies with its server.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from ignite.engine import Engine, Events
from monai.engines import Evaluator
from monai.utils import is_scalar

from kdseg.engines import is_main_process
from kdseg.engines.trainer import TERMS
from kdseg.errors import UserError, suggestion
from kdseg.handlers.mlflow_run import MlflowRun
from kdseg.handlers.provenance import data_list_facts, environment, without_private_parts

__all__ = ["ROLES", "Tracking"]

logger = logging.getLogger(__name__)

ROLES = ("teacher", "student_alone", "student_distilled")

# parameters that also stand in a run's name and tags
NAMING = ("method", "seed")


class Tracking:
    """Ignite handler: parameters, loss terms, validation metrics, configuration, environment and artifacts of one run.

    Attached to a trainer it stores, for each epoch, the mean of the loss and of each named term (``train/…``), the
    learning rate, and the metrics of ``validator`` (``validation/…``); attached to an evaluator its metrics
    (``evaluation/…``). Its place in the list of handlers does not matter. The run ends as FINISHED, as FAILED when an
    exception stops it, or as KILLED when the user or the system does. Only rank 0 records, and the losses of its share.

    Args:
        output_dir: folder of this training.
        role: "teacher", "student_alone" or "student_distilled".
        experiment: MLflow's experiment, usually the bundle's name.
        datalist: the data list file; its hash and counts are stored, never its cases.
        parameters: settings to store by name, such as ``method`` and ``seed``, which also name the run.
        artifacts: files and folders to store at the end, such as ``model.pt`` and a folder of overlay pictures.
        group: ties the runs of one comparison together; the hash of the data list where it is not given.
        run_name: name of the run; made of role, method, seed, time and four random digits where it is not given.
        tracking_uri: database or server; else ``MLFLOW_TRACKING_URI``, else ``mlflow.db`` beside ``output_dir``, so
            that teacher, student alone and distilled student in one folder share it.
        validator: evaluator that runs in the training.
        config: configuration to store, overrides included.

    Raises:
        UserError: at once for an unknown role; when the run starts for a data list that cannot be read. A store that
            cannot be used stops nothing; see :class:`kdseg.handlers.mlflow_run.MlflowRun`.

    Example:
        >>> tracking = Tracking("out/student", role="student_alone", parameters={"seed": 0})
        >>> trainer = Engine(lambda engine, batch: {"loss": torch.tensor(1.0)})
        >>> tracking.attach(trainer)
    """

    def __init__(
        self,
        output_dir: str | Path,
        role: str,
        *,
        experiment: str = "kdseg",
        datalist: str | Path | None = None,
        parameters: Mapping[str, Any] | None = None,
        artifacts: Sequence[str | Path] = (),
        group: str | None = None,
        run_name: str | None = None,
        tracking_uri: str | None = None,
        validator: Engine | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        if role not in ROLES:
            raise UserError("role", found=repr(role), expected=", ".join(ROLES), fix=suggestion(role, ROLES))
        self.output_dir = Path(output_dir).resolve()
        self.role = role
        self.experiment = experiment
        self.datalist = datalist
        self.parameters: dict[str, Any] = without_private_parts(parameters or {})
        self.artifacts = [Path(path) for path in artifacts]
        self.group = group
        self.run_name = run_name
        self.tracking_uri = tracking_uri
        self.validator = validator
        self.config: dict[str, Any] = without_private_parts(config or {})
        self.run: MlflowRun | None = None
        self._sums: dict[str, tuple[torch.Tensor | float, int]] = {}
        self._rates: dict[str, float] = {}

    def attach(self, engine: Engine) -> None:
        """Register with a trainer or an evaluator, on rank 0."""
        if not is_main_process():
            return
        engine.add_event_handler(Events.STARTED, self._start)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._fail)
        # Other handlers raise the exception again and so end the event: this one must hear of it before them, and raise
        # it after them, in case that there is none. Ignite has no public order of handlers.
        listeners = engine._event_handlers[Events.EXCEPTION_RAISED]
        listeners.insert(0, listeners.pop())
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._raise_again)
        if not isinstance(engine, Evaluator):
            engine.add_event_handler(Events.EPOCH_STARTED, self._start_epoch)
            engine.add_event_handler(Events.ITERATION_COMPLETED, self._add_terms)
            engine.add_event_handler(Events.EPOCH_COMPLETED, self._store_terms)
            if self.validator is not None:
                self.validator.add_event_handler(Events.COMPLETED, self._store_validation)

    def _start(self, engine: Engine) -> None:
        stage = "evaluate" if isinstance(engine, Evaluator) else "train"
        facts = {} if self.datalist is None else data_list_facts(self.datalist)
        group = self.group or str(facts.get("sha256", ""))[:12]
        named: dict[str, str] = {key: str(self.parameters[key]) for key in NAMING if key in self.parameters}
        tags = {"role": self.role, "stage": stage, "group": group, **named}
        self.run = MlflowRun(
            self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or _shared_database(self.output_dir),
            self.experiment,
            self.run_name or _run_name(self.role, stage, named),
            {f"kdseg.{key}": value for key, value in tags.items() if value},
            self.output_dir,
        )
        length = {"max_epochs": engine.state.max_epochs, "epoch_length": engine.state.epoch_length}
        self.run.parameters(_flat({**length, **self.parameters, "data": facts}))
        config = dict(self.config)
        for name, content in {
            "metadata.json": config.pop("_meta_", {}),
            "config.json": config,
            "environment.json": environment(getattr(engine.state, "device", "cpu")),
        }.items():
            if content:
                self.run.text(name, json.dumps(content, indent=2, ensure_ascii=False))
        # added now, it comes after the handlers that save the last checkpoint
        if not engine.has_event_handler(self._complete, Events.COMPLETED):
            engine.add_event_handler(Events.COMPLETED, self._complete)
        _exit_on_sigterm()

    def _start_epoch(self, trainer: Engine) -> None:
        self._sums = {}
        # before the schedulers move them at the end of the epoch
        groups = trainer.optimizer.param_groups if hasattr(trainer, "optimizer") else []
        self._rates = {f"learning_rate{f'_{i}' if i else ''}": float(group["lr"]) for i, group in enumerate(groups)}

    def _add_terms(self, trainer: Engine) -> None:
        output = trainer.state.output
        step: Mapping[str, Any] = output[0] if isinstance(output, list) else output  # type: ignore[assignment]
        for name, value in {"loss": step["loss"], **step.get(TERMS, {})}.items():
            total, count = self._sums.get(name, (0.0, 0))
            # summed where it is: a number asked of the accelerator would stop it in every step
            self._sums[name] = (total + torch.as_tensor(value).detach(), count + 1)

    def _store_terms(self, trainer: Engine) -> None:
        means = {name: float(total) / count for name, (total, count) in self._sums.items()}
        self._store("train", {**means, **self._rates}, trainer.state.epoch)

    def _store_validation(self, validator: Engine) -> None:
        self._store("validation", validator.state.metrics, validator.state.epoch)

    def _store(self, section: str, values: Mapping[str, Any], step: int) -> None:
        if self.run is not None:
            numbers = {name: value for name, value in values.items() if is_scalar(value) and not isinstance(value, str)}
            self.run.metrics({f"{section}/{name}": float(value) for name, value in numbers.items()}, step)

    def _complete(self, engine: Engine) -> None:
        if isinstance(engine, Evaluator):
            self._store("evaluation", engine.state.metrics, engine.state.epoch)
        elif isinstance(self.validator, Evaluator):
            best = self.validator.get_stats("key_metric_name", "best_metric", "best_metric_epoch")
            if best["best_metric_epoch"] > 0:
                name = f"best_{best['key_metric_name']}"
                self._store("validation", {name: best["best_metric"]}, best["best_metric_epoch"])
        self._finish("FINISHED")

    def _fail(self, engine: Engine, error: BaseException) -> None:
        if self.run is not None:
            # its kind only: messages name files
            self.run.tag("kdseg.error", type(error).__name__)
        self._finish("KILLED" if isinstance(error, (KeyboardInterrupt, SystemExit)) else "FAILED")

    def _raise_again(self, engine: Engine, error: BaseException) -> None:
        raise error

    def _finish(self, status: str) -> None:
        run, self.run = self.run, None
        # an exception is reported twice by Ignite, for the epoch and for the run
        if run is not None:
            for path in self.artifacts:
                if path.exists():
                    run.file(path)
                elif status == "FINISHED":
                    logger.warning(f"MLflow: {path.name} was to be stored with the run but does not exist")
            run.finish(status)


def _shared_database(output_dir: Path) -> str:
    return f"sqlite:///{(output_dir.parent / 'mlflow.db').as_posix()}"


def _run_name(role: str, stage: str, named: Mapping[str, str]) -> str:
    known = [f"seed{value}" if key == "seed" else value for key, value in named.items()]
    # secrets and not random: a seeded training would draw the same digits every time
    ending = [*(["evaluate"] if stage == "evaluate" else []), time.strftime("%Y%m%d-%H%M%S"), secrets.token_hex(2)]
    return "-".join([role, *known, *ending])


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": str(value)})
    return flat


def _exit_on_sigterm() -> None:
    """Let a stop by the system or a job scheduler end the run as one by the user does, unless someone cares for it."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
