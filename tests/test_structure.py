"""The rooms import downward only, importing kdseg is free, and every module can be read alone."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "kdseg"
HOUSE = ROOT.parent / "docs" / "architecture.md"
# the picture of the house is what is tested
ORDER = re.findall(r"^\| `kdseg/(\w+)(?:/|\.py)` \|", HOUSE.read_text(encoding="utf-8"), flags=re.MULTILINE)
LIGHT = [
    "networks",
    "losses",
    "distill",
    "engines",
    "handlers",
    "metrics",
    "transforms",
    "pictures",
    "task",
    "inferers",
    "deploy",
]
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


def test_every_room_is_in_the_picture() -> None:
    rooms = {path.stem for path in ROOT.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert rooms - {"__init__", "_version", "__pycache__", "py"} - set(ORDER) == set()
    assert set(ORDER) <= rooms


def imported_when_loaded(path: Path) -> set[str]:
    """Modules of kdseg that a module loads when it is loaded itself."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.startswith("kdseg.")}


def test_no_modules_import_each_other_in_a_circle() -> None:
    modules = {
        "kdseg." + path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): path
        for path in ROOT.rglob("*.py")
    }
    # a package imports what it offers: its own modules do not count as its users
    graph = {
        name: {
            other
            for other in imported_when_loaded(path) & modules.keys()
            if other != name and not other.startswith(f"{name}.")
        }
        for name, path in modules.items()
    }
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " → ".join([*way[way.index(name) :], name])
        if name not in done:
            for other in graph[name]:
                visit(other, (*way, name))
            done.add(name)

    for name in graph:
        visit(name, ())
