"""What setup.cfg asks for: all that kdseg imports, under free licences, as docs/licences.md has it."""

from __future__ import annotations

import ast
import itertools
import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
# SPDX names, and older spellings of them; MPL-2.0 asks for changes of its own files only
FREE = "|".join(
    [
        r"Apache-2\.0( WITH LLVM-exception)?|Apache( Software)? License( 2\.0)?",
        r"0BSD|BSD-[23]-Clause|BSD License",
        r"MIT(-CMU)?|MIT License|ISC|HPND|Zlib|BSL-1\.0|CC0-1\.0",
        r"PSF-2\.0|Python Software Foundation License",
        r"MPL-2\.0",
    ]
)


def requirements() -> dict[str, tuple[str, str]]:
    """Package → its range and the reason given above it, of those that a plain install brings."""
    lines = (
        (ROOT / "setup.cfg").read_text(encoding="utf-8").split("install_requires =\n")[1].split("\n\n")[0].splitlines()
    )
    found = {}
    for above, line in itertools.pairwise(lines):
        if not line.strip().startswith("#"):
            package, range_ = re.fullmatch(r"\s*([\w-]+)(.*)", line).groups()  # type: ignore[union-attr]
            found[package] = (range_, above.strip().removeprefix("# "))
    return found


def licences(package: str) -> list[str]:
    about = metadata.metadata(package)
    classifiers = [line for line in about.get_all("Classifier") or [] if line.startswith("License ::")]
    # older packages have the whole text here
    first_line = (about.get("License") or "").strip().split("\n")[0]
    told = about.get("License-Expression") or "; ".join(line.split(" :: ")[-1] for line in classifiers) or first_line
    return re.split(r" AND | OR |; ", told)


def test_the_table_of_licences_is_that_of_setup_cfg() -> None:
    rows = {}
    for line in (ROOT / "docs" / "licences.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and not line.startswith(("| package", "|--")):
            package, range_, licence, reason = (cell.strip() for cell in line.strip("|").split(" | "))
            rows[package] = (range_, reason)
            assert all(re.fullmatch(FREE, one) for one in licence.split(" AND ")), f"{package}: {licence}"
    assert rows == requirements()


@pytest.mark.parametrize("package", requirements())
def test_every_hard_dependency_has_a_free_licence(package: str) -> None:
    assert all(re.fullmatch(FREE, one) for one in licences(package)), licences(package)


def test_nothing_that_they_bring_in_turn_is_under_the_gpl() -> None:
    waiting, seen = list(requirements()), set()
    while waiting:
        package = canonicalize_name(waiting.pop())
        if package not in seen:
            seen.add(package)
            assert not any("GPL" in one or "General Public" in one for one in licences(package)), package
            needed = [Requirement(line) for line in metadata.requires(package) or []]
            waiting += [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    assert len(seen) > len(requirements())


def test_all_that_is_imported_is_asked_for() -> None:
    text = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    asked = {
        canonicalize_name(name) for name in re.findall(r"^    ([\w-]+)>=", text.split("test =\n")[0], re.MULTILINE)
    }
    # markupsafe is a part of jinja2
    packages = metadata.packages_distributions() | {"markupsafe": ["jinja2"]}
    for path in sorted((ROOT / "kdseg").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            for name in {name.split(".")[0] for name in names} - {"kdseg", *sys.stdlib_module_names}:
                assert asked & {canonicalize_name(one) for one in packages.get(name, [name])}, (
                    f"{path.name} imports {name}"
                )
