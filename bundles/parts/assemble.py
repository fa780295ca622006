"""Writes the files that the bundles share, so that each bundle is complete when it is copied away.

    python bundles/parts/assemble.py            writes them
    python bundles/parts/assemble.py --check    exit code 1, with their names, when any is not as it should be

``inference.json`` and the network's part of ``metadata.json`` are written from the bundle's ``task.json``. Any other
file is the file of ``parts/shared`` with the bundle's own part, ``parts/<bundle>``, laid over it. Objects
are joined key by key; lists, numbers, texts and components (objects with a ``_target_``) of the bundle replace the
shared ones, and null takes one away. The bundle's own new keys come where the shared file says ``"_own_": null``. All
other files of a bundle are its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdseg.task import bundle_metadata, inference_config, read_task

BUNDLES = Path(__file__).resolve().parents[1]
PARTS = Path(__file__).resolve().parent
OWN_KEYS = "_own_"
WIDTH = 140


def assembled(name: str) -> dict[Path, str]:
    """Path in the bundle → content of every file that is made from parts or from the task."""
    shared, own = PARTS / "shared", PARTS / name
    paths = {path.relative_to(root) for root in (shared, own) for path in root.rglob("*") if path.is_file()}
    files = {path: _assembled_file(shared / path, own / path) for path in sorted(paths)}
    task = read_task(BUNDLES / name)
    words = Path("configs/metadata.json")
    files[words] = formatted(bundle_metadata(task, json.loads(files[words]))) + "\n"
    files[Path("configs/inference.json")] = formatted(inference_config(task)) + "\n"
    return files


def _assembled_file(shared: Path, own: Path) -> str:
    if shared.suffix != ".json" or not shared.is_file():
        return (own if own.is_file() else shared).read_text(encoding="utf-8")
    part = json.loads(own.read_text(encoding="utf-8")) if own.is_file() else {}
    return formatted(joined(json.loads(shared.read_text(encoding="utf-8")), part)) + "\n"


def joined(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """``own`` laid over ``shared``; new keys of ``own`` in the place of ``"_own_"``, or at the end."""
    new = {key: value for key, value in own.items() if key not in shared}
    result: dict[str, Any] = {}
    for key, value in shared.items():
        if key == OWN_KEYS:
            result.update(new)
        elif key not in own:
            result[key] = joined(value, {}) if isinstance(value, Mapping) else value
        elif isinstance(value, Mapping) and isinstance(own[key], Mapping) and "_target_" not in own[key]:
            result[key] = joined(value, own[key])
        elif value is None or own[key] is not None:
            result[key] = own[key]
    return {**result, **{key: value for key, value in new.items() if key not in result}}


def formatted(value: Any, indent: int = 0) -> str:
    """JSON with what fits on a line on one line, except for the outermost object."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or not value or (indent and len(line) + indent <= WIDTH):
        return line
    inner = " " * (indent + 4)
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}: {formatted(item, indent + 4)}" for key, item in value.items()]
    else:
        parts = [formatted(item, indent + 4) for item in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return f"{opening}\n{inner}" + f",\n{inner}".join(parts) + f"\n{' ' * indent}{closing}"


def bundle_names() -> list[str]:
    """The bundles that are made of parts."""
    return sorted(path.name for path in PARTS.iterdir() if path.is_dir() and path.name not in ("shared", "__pycache__"))


def main(check: bool) -> int:
    stale = []
    for name in bundle_names():
        for path, content in assembled(name).items():
            target = BUNDLES / name / path
            if target.is_file() and target.read_text(encoding="utf-8") == content:
                continue
            stale.append(str(target.relative_to(BUNDLES)))
            if not check:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(content, encoding="utf-8")
    told = "not as its parts say" if check else "written"
    print("\n".join(f"{told}: {path}" for path in stale) or "all as their parts say")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
