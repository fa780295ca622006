"""A training in several processes leaves no thread behind that could outlive Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TRAINING = """
import atexit, os, sys
from pathlib import Path
import torch
from kdseg.engines import leave_process_group

def gloo_threads():
    names = [Path(task, "comm").read_text().strip() for task in os.scandir("/proc/self/task")]
    print(sum("gloo" in name for name in names), flush=True)

class Workflow:
    def __init__(self, store):
        torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
        self.network = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2))
        self.parser = self

atexit.register(gloo_threads)
workflow = Workflow(sys.argv[1])
gloo_threads()
workflow.network(torch.ones(1, 2)).sum().backward()
leave_process_group()
del workflow
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the names of threads from /proc")
def test_no_thread_of_the_group_is_left_when_python_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TRAINING, str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    during, at_the_end = map(int, done.stdout.split())
    assert during > 0 and at_the_end == 0
