"""The search: equal trials for every arm, on validation cases alone, and it goes on after a stop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kdseg.cli.main import main
from kdseg.compare import tuning
from tests.compare.test_compare import cells, words, work  # noqa: F401 (a fixture)

optuna = pytest.importorskip("optuna")


def studies(out: Path) -> dict[str, Any]:
    storage = f"sqlite:///{out / 'tuning' / 'studies.db'}"
    names = optuna.get_all_study_names(storage)
    return {name: optuna.load_study(study_name=name, storage=storage) for name in names}


def test_every_arm_has_as_many_trials_and_its_best_is_used(
    work: Path,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "run"
    command = words(work, out, "--methods", "kd,lightvessel", "--tune", "3", budget="2")
    asked: list[int] = []
    tell = tuning._tell

    def stopped(*arguments: Any) -> None:
        asked.append(1)
        if len(asked) == 5:
            raise KeyboardInterrupt
        tell(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(tuning, "_tell", stopped)
        assert main(command) == 130
    # no test case is read while anything is searched
    assert not list(out.rglob("evaluation_test"))
    assert main(command) == 0
    found = studies(out)
    assert {name: len(study.trials) for name, study in found.items()} == {
        f"all/thin_unet/{arm}": 3 for arm in ("alone", "kd", "lightvessel")
    }
    assert all(trial.state.is_finished() for study in found.values() for trial in study.trials)
    assert found["all/thin_unet/alone"].trials[0].params == {"learning_rate": 0.001}
    rate = found["all/thin_unet/alone"].best_params["learning_rate"]
    done = cells(out)
    for arm in ("alone", "kd", "lightvessel"):
        settings = json.loads((out / done["all", arm, 0]["folder"] / "cell.json").read_text())["settings"]
        assert settings["learning_rate"] == rate
        if arm != "alone":
            key = "weight" if arm == "kd" else "share"
            weights = {name: part[key] for name, part in settings["method_args"].items()}
            assert weights == found[f"all/thin_unet/{arm}"].best_params
            assert arm != "kd" or all(trial.params["logits"] <= 1 for trial in found["all/thin_unet/kd"].trials)
    trials = list((out / "tuning").rglob("trial_*"))
    assert len(trials) == 9 and all((trial / "done.json").is_file() for trial in trials)
    assert "kd" in str(json.loads((out / "comparison.json").read_text())["tuned"])
    before = (out / "cells.json").read_text()
    assert main(command) == 0 and (out / "cells.json").read_text() == before
