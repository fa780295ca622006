"""The rooms import downward only, importing kdseg is free, and every module can be read alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "kdseg"
ORDER = ["errors", "files", "settings", "configuration", "networks", "losses", "data", "transforms", "metrics"]
ORDER += ["pictures", "distill", "engines", "handlers", "deploy", "phantom"]
ORDER += ["statistics", "report", "compare", "benchmark", "cli"]
LIGHT = ["networks", "losses", "distill", "engines", "handlers", "metrics", "transforms", "pictures"]
LIGHT += ["statistics", "report", "compare", "benchmark"]
HEAVY = {"mlflow", "SimpleITK", "highdicom", "openvino", "ray", "matplotlib", "optuna", "skimage", "pydicom", "scipy"}


def imports(path: Path, top_level_only: bool) -> set[str]:
    """Modules that the file imports; those inside functions and under TYPE_CHECKING left out on wish."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return found | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}


def rank(module: str) -> int | None:
    parts = module.split(".")
    return ORDER.index(parts[1]) if parts[0] == "kdseg" and len(parts) > 1 and parts[1] in ORDER else None


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_room_imports_upward(path: Path) -> None:
    relative = path.relative_to(ROOT)
    own = rank("kdseg." + relative.with_suffix("").as_posix().replace("/", "."))
    if own is None:
        return
    upward = {module for module in imports(path, top_level_only=False) if (rank(module) or 0) > own}
    assert not upward


@pytest.mark.parametrize("room", LIGHT)
def test_heavy_packages_load_where_they_are_used(room: str) -> None:
    for path in (ROOT / room).glob("*.py"):
        heavy = {module.split(".")[0] for module in imports(path, top_level_only=True)} & HEAVY
        assert not heavy, f"{path.name} imports {heavy} at its top"
