from __future__ import annotations

import subprocess
import sys
from pathlib import Path

START = """
import sys
from kdseg.handlers.mlflow_run import MlflowRun
MlflowRun(sys.argv[1], "race", sys.argv[2], {})
"""


def test_two_trainings_that_start_together_share_a_new_database(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    both = [subprocess.Popen([sys.executable, "-c", START, uri, name], stderr=subprocess.PIPE) for name in "ab"]
    for process in both:
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told.decode()
