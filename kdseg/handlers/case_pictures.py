"""Keeps a picture of every case of an evaluation: the image, the truth and what the network found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np
from ignite.engine import Events
from monai.engines import Workflow

from kdseg.files import whole_file
from kdseg.handlers.case_table import case_name
from kdseg.handlers.case_view import case_view
from kdseg.pictures.overlay import grey_values

__all__ = ["CasePictures", "picture_file"]


class CasePictures:
    """Ignite handler for a MONAI evaluator: ``pictures/CASE.npz`` with the arrays image, truth and prediction.

    All three are ``HW`` and uint8: grey values from 0 to 255, and class numbers (0 = background, 255 in the truth =
    ignored). Of a volume it is the axial slice with most true foreground, see
    :func:`kdseg.handlers.case_view.case_view`; the array "slice" says which and of how many, and is empty for a
    picture. From these files the report of a comparison draws the same case as several networks saw it.

    Args:
        output_dir: the folder in which ``pictures`` is made.
        classes: names of the classes without the background.
        longest: pixels of the longer side; a larger picture is made smaller by leaving out pixels.

    Example:
        >>> import tempfile, torch
        >>> from monai.engines import SupervisedEvaluator
        >>> folder, image = Path(tempfile.mkdtemp()), torch.ones(1, 1, 8, 6)
        >>> evaluator = SupervisedEvaluator(
        ...     device="cpu",
        ...     val_data_loader=[{"image": image, "label": image, "case": ["a"]}],
        ...     network=torch.nn.Identity(),
        ...     val_handlers=[CasePictures(folder)],
        ... )
        >>> evaluator.run()
        >>> np.load(folder / "pictures" / "a.npz")["truth"].shape
        (6, 8)
    """

    def __init__(self, output_dir: str | Path, classes: Sequence[str] = ("foreground",), longest: int = 512) -> None:
        self.folder = Path(output_dir) / "pictures"
        self.classes = tuple(classes)
        self.longest = longest
        self.seen = 0

    def attach(self, evaluator: Workflow) -> None:
        """Register with an evaluator whose output is a list of cases (MONAI's ``decollate=True``)."""
        evaluator.add_event_handler(Events.EPOCH_STARTED, self._start)
        evaluator.add_event_handler(Events.ITERATION_COMPLETED, self._write)

    def _start(self, evaluator: Workflow) -> None:
        self.seen = 0

    def _write(self, evaluator: Workflow) -> None:
        for record, item in zip(evaluator.state.batch, evaluator.state.output, strict=True):
            view = case_view(item, len(self.classes))
            step = -(-max(view.truth.shape) // self.longest)
            case = case_name(record, item, number=self.seen)
            with whole_file(self.folder / picture_file(case)) as path:
                np.savez_compressed(
                    path,
                    image=grey_values(view.image[::step, ::step]),
                    truth=view.truth[::step, ::step],
                    prediction=view.prediction[::step, ::step],
                    slice=np.array(view.slice or (), int),
                )
            self.seen += 1


def picture_file(case: str) -> str:
    """The file name of a case's picture, whatever characters the case's name has.

    Example:
        >>> picture_file("patient 1/left")
        'patient 1%2Fleft.npz'
    """
    return quote(case, safe=" ") + ".npz"
