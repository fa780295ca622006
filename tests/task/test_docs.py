"""docs/tasks.md has every field of a task with its default, and no other."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

from kdseg.task import Task

PAGE = Path(__file__).parents[2] / "docs" / "tasks.md"


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    section = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.M)
    text = next(part for part in section if part.startswith(heading + "\n"))
    lines = [line.strip("| ") for line in text.splitlines() if line.startswith("|")]
    return [re.split(r"\s\|\s", line) for line in lines[2:]]


def test_every_field_and_no_other() -> None:
    told = {name.strip("`"): default.strip("`") for name, default, *_ in rows("Fields")}
    fields = {entry.name: entry.default for entry in dataclasses.fields(Task)}
    assert list(told) == list(fields)
    for name, default in fields.items():
        needed = default is dataclasses.MISSING
        assert told[name] == ("needed" if needed else json.dumps(default)), name
