"""Masks for files and folders from a trained network."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kdseg.deploy.student import Student, WrongModalityError, check_modality
from kdseg.masks import Mask
from kdseg.masks.inputs import Input, Wanted
from kdseg.masks.pipeline import Prediction, segment_files
from kdseg.task import prediction_transforms
from kdseg.transforms import mask_of

__all__ = ["Prediction", "predict_files"]

Ask = Callable[[str], bool]


def predict_files(
    student: Student,
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
        student: see :class:`Student`.
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
    """A :class:`Student` as :func:`segment_files` wants it."""

    def __init__(self, student: Student, every_series: bool, force: bool, ask: Ask | None) -> None:
        self.student, self.maker, self._ask = student, student.maker, ask
        task = student.task
        modality = task.modality[0] if len(task.modality) == 1 and not force else None
        self.wanted = Wanted(task.kind, modality, task.series, task.plane, every_series)
        self._any = force
        self._transforms = prediction_transforms(task.changed({"modality": []})) if force else student.prepare

    def read(self, item: Input) -> Any:
        if not self._any:
            self._check(item.path)
        return self._transforms({"image": item.entry}, end=1)

    def _check(self, path: Path) -> None:
        task = self.student.task
        try:
            check_modality(path, task.modality, task.name)
        except WrongModalityError as error:
            if self._ask is None or not self._ask(str(error)):
                # asked once
                self._ask = None
                raise
            self._any = True
            self._transforms = prediction_transforms(task.changed({"modality": []}))

    def prepare(self, image: Any) -> Any:
        # what reading and preparing wrote down together is what is undone later
        return self._transforms(image, start=1)

    def segment(self, prepared: Mapping[str, Any], item: Input) -> tuple[Mask, Mapping[str, float], list[str]]:
        started = time.perf_counter()
        values, network = self.student.timed_masks(prepared, self._transforms)
        meta = prepared["image"].meta
        mask = mask_of(values.numpy(), meta, self.student.task.labels, item.files, self.maker)
        unknown = meta.get("spacing_known") is False and mask.file_format == "dicom"
        remarks = ["the spacing is not known"] if unknown else []
        return mask, {"network": network, "finish": time.perf_counter() - started - network}, remarks
