"""The files of a trained network's folder that are plain values; without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdseg.errors import UserError
from kdseg.files import whole_file

__all__ = ["HISTORY_FILE", "read_history", "write_json"]

HISTORY_FILE = "history.json"


def read_history(folder: Path) -> dict[str, Any]:
    """The content of ``history.json``; empty where there is none.

    Raises:
        UserError: when it is damaged.
    """
    path = folder / HISTORY_FILE
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("no object")
        return content
    except (OSError, ValueError) as error:
        found, fix = f"no readable record ({type(error).__name__})", "copy the file again, or train again"
        raise UserError(path, found=found, expected="what a training writes", fix=fix) from error


def write_json(content: Mapping[str, Any], path: Path) -> None:
    """Write a JSON file, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
