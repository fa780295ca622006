"""The wheel, built from the source archive as an installer would, holds every file of the checkout that it should."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = {"kdseg": "kdseg", "bundles": "kdseg/_bundles", "data_lists": "kdseg/_data_lists"}
"""Folders of the checkout, and where their files lie in the wheel."""


def names_in_wheel(copy: Path) -> set[str]:
    """Build in a copy, because setuptools packs what an older build left in the checkout."""
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    # without isolation, which would install setuptools again
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(copy / "dist"), str(copy)]
    made = subprocess.run(command, capture_output=True, text=True, cwd=copy)
    assert made.returncode == 0, made.stdout[-3000:] + made.stderr[-3000:]
    (wheel,) = (copy / "dist").glob("kdseg-*.whl")
    return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_modules_bundles_and_data_lists_and_nothing_else(tmp_path: Path) -> None:
    expected = set()
    for folder, inside in FOLDERS.items():
        for path in (ROOT / folder).rglob("*"):
            relative = path.relative_to(ROOT / folder)
            # the parts that the bundles are made of stay: each bundle has its copy
            is_part = (folder, relative.parts[0]) == ("bundles", "parts")
            if path.is_file() and "__pycache__" not in path.parts and not is_part:
                expected.add(f"{inside}/{relative.as_posix()}")
    assert {"kdseg/cli/main.py", "kdseg/_bundles/prostate_mri/configs/train.json"} <= expected
    assert {name for name in names_in_wheel(tmp_path) if not name.startswith("kdseg-")} == expected
