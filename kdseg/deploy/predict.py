"""Masks for files and folders from a trained network or an export."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdseg.data.modality import WrongModalityError, check_modality
from kdseg.masks import Mask, mask_of
from kdseg.masks.inputs import Input, Wanted
from kdseg.masks.pipeline import Prediction, segment_files
from kdseg.runtime import RuntimeStudent

if TYPE_CHECKING:
    from kdseg.deploy.student import Student

__all__ = ["Prediction", "predict_files"]

Ask = Callable[[str], bool]


def predict_files(
    student: Student | RuntimeStudent,
    source: str | Path | Sequence[str | Path],
    output_dir: str | Path,
    overwrite: bool = False,
    *,
    formats: Sequence[str] = ("nifti",),
    preview: bool = False,
    every_series: bool = False,
    force: bool = False,
    ask: Ask | None = None,
) -> Prediction:
    """Write a mask for every image of the sources, in the form of its input.

    Args:
        student: see :func:`kdseg.load`.
        source: files, folders with all that is in them, zip archives; of every DICOM study the series that the task
            wants.
        output_dir: where the masks go; folders of the sources are mirrored in it.
        overwrite: replace files that are there already.
        formats: of masks of DICOM images: "nifti", "seg", "rtstruct", "capture".
        preview: write a picture of each mask beside it.
        every_series: of a study all series that fit, in place of the largest.
        force: take images of other modalities than the task's as well.
        ask: is asked once, with the reason, before such an image is refused.

    Raises:
        UserError: when there is no such place, no image in it, or the masks cannot be written there at all.
    """
    sources = [source] if isinstance(source, (str, Path)) else source
    steps = _Steps(student, every_series, force, ask)
    return segment_files(steps, sources, output_dir, formats=formats, preview=preview, overwrite=overwrite)


class _Steps:
    """A student as :func:`segment_files` wants it."""

    def __init__(self, student: Student | RuntimeStudent, every_series: bool, force: bool, ask: Ask | None) -> None:
        task = student.task
        modality = task.modality[0] if len(task.modality) == 1 and not force else None
        self.wanted = Wanted(task.kind, modality, task.series, task.plane, every_series)
        self.student, self.maker = student.of_any_modality() if force else student, student.maker
        self._ask = ask

    def read(self, item: Input) -> Any:
        task = self.student.task
        try:
            check_modality(item.path, task.modality, task.name)
        except WrongModalityError as error:
            ask, self._ask = self._ask, None  # asked once
            if ask is None or not ask(str(error)):
                raise
            self.student = self.student.of_any_modality()
        # the student goes along: the answer to a question may change it while another image is on its way
        return self.student, self.student.read(item.entry)

    def prepare(self, image: Any) -> Any:
        student, values = image
        return student, student.prepared(values)

    def segment(self, prepared: Any, item: Input) -> tuple[Mask, Mapping[str, float], list[str]]:
        student, image = prepared
        started = time.perf_counter()
        values, meta, network = student.timed_masks(image)
        mask = mask_of(values, meta, student.task.labels, item.files, self.maker)
        unknown = meta.get("spacing_known") is False and mask.file_format == "dicom"
        remarks = ["the spacing is not known"] if unknown else []
        return mask, {"network": network, "finish": time.perf_counter() - started - network}, remarks
