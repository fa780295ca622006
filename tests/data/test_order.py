"""The rooms of the data room import downward only, and no two of its files share a name."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import kdseg

ROOT = Path(kdseg.__file__).parent / "data"
ORDER = ["open", "formats", ("frames", "volumes"), "lists", "layouts", "checks", "prepare"]
RANK = {name: place for place, names in enumerate(ORDER) for name in ([names] if isinstance(names, str) else names)}


def modules() -> list[Path]:
    files = (path.relative_to(ROOT) for path in ROOT.rglob("*.py") if path.name != "__init__.py")
    return sorted(path for path in files if path.with_suffix("").parts[0] in RANK)


def imported(path: Path) -> set[str]:
    """Rooms that a file imports, also inside functions."""
    nodes = ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    names = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[2] for name in names if name.startswith("kdseg.data.")}


def test_no_room_imports_upward() -> None:
    assert len(modules()) > 40
    for path in modules():
        own = path.with_suffix("").parts[0]
        assert {name for name in imported(path) if RANK[name] >= RANK[own] and name != own} == set(), path


def test_no_circles() -> None:
    """Within a room as well."""
    names = {".".join(path.with_suffix("").parts): path for path in modules()}
    left = {}
    for name, path in names.items():
        nodes = ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
        found = {(node.module or "").removeprefix("kdseg.data.") for node in nodes if isinstance(node, ast.ImportFrom)}
        left[name] = found & names.keys()
    while free := [name for name, needed in left.items() if not needed]:
        left = {name: needed - set(free) for name, needed in left.items() if name not in free}
    assert left == {}


def test_no_two_files_share_a_name() -> None:
    assert [name for name, count in Counter(path.name for path in modules()).items() if count > 1] == []
