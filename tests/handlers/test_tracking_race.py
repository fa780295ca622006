from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.handlers.mlflow_runs import client, runs

START = """
import sys
from pathlib import Path
from kdseg.handlers.mlflow_run import MlflowRun
MlflowRun(sys.argv[1], "race", sys.argv[2], {}, Path(sys.argv[3])).finish("FINISHED")
"""


def test_two_trainings_that_start_together_share_a_new_database(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    commands = [[sys.executable, "-c", START, uri, name, tmp_path / name] for name in "ab"]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE) for command in commands]
    for process in both:
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told.decode()
    assert {run.info.run_name for run in runs(client(tmp_path), "race")} == {"a", "b"}
    assert not list(tmp_path.glob("*/tracking_unsent"))
