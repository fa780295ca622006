"""What a runtime leaves behind in the process that used it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.exports import SHALLOW, student_and_list
from tests.tasks import tiny_task

pytest.importorskip("openvino")
pytest.importorskip("nncf")

# NNCF makes cores of its own; of the models that are opened again the first to come is the first to go
SIGNAL_AFTER_OPENVINO = """
import signal, subprocess, sys
from pathlib import Path

from kdseg.cli.main import main
from kdseg.runtime import open_session

student, datalist, folder = sys.argv[1:]
assert main(["export", student, "--datalist", datalist, "--out", folder, "--to", "openvino", "--int8"]) == 0
first = open_session("openvino", Path(folder, "model.xml"))
second = open_session("openvino_int8", Path(folder, "model_int8.xml"))
del first, second
handled = []
signal.signal(signal.SIGCHLD, lambda *_: handled.append(1))
subprocess.run([sys.executable, "-c", ""], check=True)
assert handled
"""


def test_a_signal_after_openvino_is_handled(tmp_path: Path) -> None:
    student, datalist = student_and_list(tmp_path, tiny_task(network=SHALLOW))
    words = [sys.executable, "-c", SIGNAL_AFTER_OPENVINO, str(student), str(datalist), str(tmp_path / "export")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
