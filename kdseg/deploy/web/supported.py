"""Which tasks a page in a browser can do."""

from __future__ import annotations

from kdseg.errors import UserError
from kdseg.task import Task

__all__ = ["check_page_can_do"]


def check_page_can_do(task: Task) -> None:
    """Refuse tasks whose preparation or inference the page does not have, rather than give other masks there.

    Raises:
        UserError: with the setting that is in the way.
    """
    reasons = {
        "volumes": task.kind == "volume",
        "whole-slide files at another level": task.level > 0,
        "the largest part of each class (largest_component)": task.largest_component,
    }
    wrong = [name for name, is_so in reasons.items() if is_so]
    if wrong:
        raise UserError(
            f"task '{task.name}'",
            found=f"{', '.join(wrong)}",
            expected="pictures, which the page in the browser prepares as the task says",
            fix="export to onnx or openvino and use kdseg predict",
        )
