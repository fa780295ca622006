"""Bundles run by MONAI's own command, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# stands for an installation without kdseg: importing it, in whatever way, fails
WITHOUT_KDSEG = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "kdseg":
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Absent())
from monai.bundle.__main__ import *
import fire
fire.Fire()
"""


def run_without_kdseg(bundle: Path, flags: Sequence[str]) -> None:
    """``monai.bundle run`` of the bundle's inference.json where kdseg cannot be imported, from the bundle's folder."""
    command = [sys.executable, "-c", WITHOUT_KDSEG, "run", "--config_file", "configs/inference.json"]
    done = subprocess.run([*command, *flags], cwd=bundle, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]


def run_in_two_processes(bundle: Path, layers: Sequence[str], settings: Mapping[str, Any]) -> str:
    """The composition under torchrun with gloo; what it printed."""
    files = [str(bundle / "configs" / f"{layer}.json") for layer in layers]
    values = {key: value if isinstance(value, str) else json.dumps(value) for key, value in settings.items()}
    values = {key: {"true": "True", "false": "False"}.get(value, value) for key, value in values.items()}
    flags = [part for key, value in values.items() for part in (f"--{key}", value)]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command += ["-m", "monai.bundle", "run", "--config_file", str(files)]
    # a process that aborts says where
    known = {**os.environ, "PYTHONFAULTHANDLER": "1"}
    done = subprocess.run([*command, *flags], capture_output=True, text=True, timeout=280, env=known)
    assert done.returncode == 0, (done.stdout + done.stderr)[-20000:]
    return done.stdout
