"""The published divisions by case id that ship with kdseg (``data_lists/``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kdseg

__all__ = ["published_list"]


def published_list(name: str) -> dict[str, Any]:
    """The content of a list, from a checkout or from an installed wheel.

    Example:
        >>> len(published_list("synapse_multiorgan")["training"])
        18
    """
    here = Path(kdseg.__file__).parent
    candidates = [root / f"{name}.json" for root in (here / "_data_lists", here.parent / "data_lists")]
    return json.loads(next(path for path in candidates if path.is_file()).read_text(encoding="utf-8"))
