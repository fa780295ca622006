from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from torch import nn

from kdseg.errors import UserError
from kdseg.files import save_atomically, whole_file
from kdseg.handlers import (
    BestModel,
    ReproducibleEpochs,
    StopEarly,
    TrainingCheckpoint,
    fingerprint,
)
from tests.tiny import discriminator_step, distiller, trainer


def training(path: Path, epochs: int, *, stop_after: int | None = None, key: str = "a", **settings: Any) -> Any:
    """A LightVessel training of the tiny networks that saves itself; optionally killed after an epoch."""
    distilled = distiller("lightvessel")
    step = discriminator_step(distilled, 1e-3)
    engine = trainer(distilled, epochs=epochs, steps=2, handlers=[ReproducibleEpochs(3), step])
    schedule = torch.optim.lr_scheduler.ExponentialLR(engine.optimizer, 0.8)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: schedule.step())
    parts = {"student": distilled.student, "terms": distilled.terms, "discriminator": step.optimizer}
    parts |= {"optimizer": engine.optimizer, "schedule": schedule}
    TrainingCheckpoint(path, parts, key=key, **settings).attach(engine)
    if stop_after is not None:

        @engine.on(Events.EPOCH_COMPLETED(once=stop_after))
        def kill() -> None:
            raise KeyboardInterrupt

    return engine


def test_a_killed_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = training(tmp_path / "whole.pt", epochs=4)
    whole.run()
    killed = training(tmp_path / "killed.pt", epochs=4, stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        killed.run()
    resumed = training(tmp_path / "killed.pt", epochs=4)
    resumed.run()
    assert resumed.state.epoch == 4 and resumed.state.iteration == 8
    for name, value in whole.distiller.state_dict().items():
        assert torch.equal(value, resumed.distiller.state_dict()[name]), name
    first, second = (torch.load(tmp_path / f, weights_only=True) for f in ("whole.pt", "killed.pt"))
    for one, two in zip(_leaves(first), _leaves(second), strict=True):
        assert torch.equal(one, two) if isinstance(one, torch.Tensor) else one == two


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for key in value for leaf in _leaves(value[key])]
    return [leaf for entry in value for leaf in _leaves(entry)] if isinstance(value, list) else [value]


def test_a_finished_training_is_not_run_again(tmp_path: Path) -> None:
    training(tmp_path / "a.pt", epochs=2).run()
    again = training(tmp_path / "a.pt", epochs=2)
    steps: list[int] = []
    again.add_event_handler(Events.ITERATION_COMPLETED, lambda: steps.append(1))
    again.run()
    assert not steps


def test_without_resume_the_file_is_left_unread(tmp_path: Path) -> None:
    training(tmp_path / "a.pt", epochs=2).run()
    again = training(tmp_path / "a.pt", epochs=2, resume=False)
    again.run()
    assert again.state.iteration == 4


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    training(tmp_path / "a.pt", epochs=1, key=fingerprint(method="kd")).run()
    with pytest.raises(UserError, match="other settings"):
        training(tmp_path / "a.pt", epochs=2, key=fingerprint(method="lightvessel")).run()


def test_a_broken_checkpoint_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"no checkpoint")
    with pytest.raises(UserError, match="cannot be read"):
        training(tmp_path / "a.pt", epochs=1).run()


class Validation(Engine):
    """An evaluator that finds the given scores, as MONAI's does: the state knows the best."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__(lambda engine, batch: None)
        self.scores = scores
        self.state = SimpleNamespace(best_metric=-1.0, best_metric_epoch=-1, epoch=0)  # type: ignore[assignment]

    def validate(self, epoch: int, handlers: list[Any]) -> None:
        self.state.epoch = epoch
        if self.scores[epoch - 1] > self.state.best_metric:  # type: ignore[attr-defined]
            self.state.best_metric, self.state.best_metric_epoch = self.scores[epoch - 1], epoch  # type: ignore[attr-defined]
        for handler in handlers:
            handler(self)


def test_the_best_student_is_kept_alone(tmp_path: Path) -> None:
    student = nn.Linear(1, 1, bias=False)
    keep = BestModel(student, tmp_path / "model.pt")
    validation = Validation([0.2, 0.6, 0.5])
    for epoch in (1, 2, 3):
        nn.init.constant_(student.weight, float(epoch))
        validation.validate(epoch, [keep])
    saved = torch.load(tmp_path / "model.pt", weights_only=True)
    assert list(saved) == ["weight"] and saved["weight"].item() == 2.0


def test_the_best_score_survives_a_resume(tmp_path: Path) -> None:
    student = nn.Linear(1, 1)
    validation = Validation([0.9])
    validation.validate(1, [])
    engine = Engine(lambda engine, batch: None)
    TrainingCheckpoint(tmp_path / "a.pt", {"student": student}, validation).save(engine)  # type: ignore[arg-type]
    fresh = Validation([0.0])
    engine.state.device = torch.device("cpu")  # type: ignore[attr-defined]
    TrainingCheckpoint(tmp_path / "a.pt", {"student": student}, fresh).load(engine)  # type: ignore[arg-type]
    assert (fresh.state.best_metric, fresh.state.best_metric_epoch) == (0.9, 1)  # type: ignore[attr-defined]


def test_training_stops_when_nothing_improves() -> None:
    validation = Validation([0.1, 0.3, 0.2, 0.2, 0.2, 0.2])
    engine = Engine(lambda engine, batch: None)
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: validation.validate(engine.state.epoch, []))
    StopEarly(validation, patience=2).attach(engine)  # type: ignore[arg-type]
    engine.run([0], max_epochs=6)
    assert engine.state.epoch == 4


def test_a_full_disk_is_told_and_nothing_half_written_stays(tmp_path: Path) -> None:
    target = tmp_path / "model.pt"
    save_atomically({"a": torch.ones(1)}, target)

    def full(content: Any, path: str) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match=r"No space left on device.*free disk space"):
        save_atomically({"a": torch.zeros(1)}, target, save=full)
    assert torch.load(target, weights_only=True)["a"].item() == 1
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt"]


def test_torch_on_a_really_full_disk(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(UserError, match="cannot be written"):
        save_atomically(
            {"a": torch.ones(100_000)}, tmp_path / "model.pt", save=lambda content, path: torch.save(content, full)
        )


def test_whole_file_leaves_the_old_one_on_an_error(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ValueError, match="stop"), whole_file(target) as temporary:
        temporary.write_text("new")
        raise ValueError("stop")
    assert target.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_a_training_without_validation_cases_is_refused(tmp_path: Path) -> None:
    from monai.engines import SupervisedEvaluator

    keeper = BestModel(nn.Identity(), tmp_path / "model.pt")
    settings = {"device": torch.device("cpu"), "network": nn.Identity(), "val_handlers": [keeper]}
    with pytest.raises(UserError, match="validation: found no cases"):
        SupervisedEvaluator(val_data_loader=[], **settings)
    SupervisedEvaluator(val_data_loader=[{"image": torch.zeros(1, 1, 2, 2)}], **settings)
