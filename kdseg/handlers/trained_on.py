"""Which images a network was trained on, so that it is not used to teach towards its own training cases."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ignite.engine import Events
from monai.engines import Workflow

from kdseg._version import __version__
from kdseg.distill.teachers.seen_cases import RECORD_NAME, image_hashes
from kdseg.files import whole_file
from kdseg.handlers.checkpoints import is_main_process

__all__ = ["TrainedOn"]


class TrainedOn:
    """Writes ``trained_on.json`` beside ``model.pt`` when the training starts: SHA-256 of each image, nothing else.

    :func:`kdseg.distill.load_teacher` reads it. No case name, path or patient is in the file; who has the same image
    file can tell that it was used.

    Args:
        output_dir: folder of the training.
        records: of the data list's training section; their "sha256", or the content of "image", is used.
    """

    def __init__(self, output_dir: str | Path, records: Sequence[Mapping[str, Any]]) -> None:
        self.path = Path(output_dir) / RECORD_NAME
        self.records = records

    def attach(self, trainer: Workflow) -> None:
        trainer.add_event_handler(Events.STARTED, self)

    def __call__(self, trainer: Workflow) -> None:
        if is_main_process():
            content = {"kdseg_version": __version__, "images_sha256": sorted(set(image_hashes(self.records)))}
            with whole_file(self.path) as temporary:
                temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
