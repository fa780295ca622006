"""Bundles run by MONAI's own command, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bundles.tiny_bundles import for_monai

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


def run_without_kdseg(folder: Path, config: Path, flags: Sequence[str]) -> None:
    """``monai.bundle run`` of an inference.json where kdseg cannot be imported, from ``folder``."""
    command = [sys.executable, "-c", WITHOUT_KDSEG, "run", "--config_file", str(config)]
    done = subprocess.run([*command, *flags], cwd=folder, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]


def monai_command(folder: Path, layers: Sequence[str], settings: Mapping[str, Any], workflow: bool = True) -> list[str]:
    """The words after ``python`` that run a composition by MONAI's command."""
    files = [str(folder / "configs" / f"{layer}.json") for layer in layers]
    words = ["-m", "monai.bundle", "run", "--config_file", str(files)]
    words += ["--workflow_name", "kdseg.Workflow"] if workflow else []
    # fire reads values as Python's
    known = for_monai(settings, folder)
    return words + [part for key, value in known.items() for part in (f"--{key}", str(value))]


def run_in_two_processes(folder: Path, layers: Sequence[str], settings: Mapping[str, Any]) -> str:
    """The composition under torchrun with gloo; what it printed."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    # a process that aborts says where
    known = {**os.environ, "PYTHONFAULTHANDLER": "1"}
    words = [*command, *monai_command(folder, layers, settings)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=280, env=known)
    assert done.returncode == 0, (done.stdout + done.stderr)[-20000:]
    return done.stdout
