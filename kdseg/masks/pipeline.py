"""Inputs to masks, one case after the other: the next is read and the last is written while the network is at work."""

from __future__ import annotations

import errno
import logging
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from kdseg.errors import UserError, reason_of, user_error_in
from kdseg.masks.inputs import Input, Wanted, find_inputs
from kdseg.masks.mark import read_mark
from kdseg.masks.mask import Maker, Mask
from kdseg.masks.names import OutputNames
from kdseg.masks.preview import write_preview
from kdseg.masks.save import DICOM_FORMATS, NIFTI, PNG, check_formats, save_mask

__all__ = ["Prediction", "Segmenter", "segment_files"]

logger = logging.getLogger(__name__)

# where nothing can be written, going on would only waste hours
NO_PLACE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


class Segmenter(Protocol):
    """A trained network, in steps that run beside each other: the first two in one thread, the third in another."""

    wanted: Wanted
    maker: Maker

    def read(self, item: Input) -> Any:
        """The image, as its file has it."""

    def prepare(self, image: Any) -> Any:
        """What the network is fed."""

    def segment(self, prepared: Any, item: Input) -> tuple[Mask, Mapping[str, float], list[str]]:
        """The mask, the seconds of "network" and "finish", and remarks for the user."""


@dataclass
class Prediction:
    """What :func:`segment_files` did.

    Attributes:
        output_dir: where the masks are.
        cases: of every case that was segmented: input, outputs, frame, frames, ml of each class, seconds in all and of
            each stage, warnings.
        set_aside: why the others were not.
        done_before: inputs whose masks were there, made by the same student.
    """

    output_dir: Path
    cases: list[dict[str, Any]] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)
    done_before: list[str] = field(default_factory=list)


def segment_files(
    segmenter: Segmenter,
    sources: Sequence[str | Path],
    output_dir: str | Path,
    *,
    formats: Sequence[str] = ("nifti",),
    preview: bool = False,
    overwrite: bool = False,
) -> Prediction:
    """Write a mask for every image of the sources.

    A case that cannot be segmented is set aside, and the rest goes on. At most three cases are in memory: one that is
    read, one in the network, one that is written. An input whose masks are there already, made by the same student and
    not older than it, is passed over, so that a run that was stopped goes on where it was.

    Args:
        segmenter: what makes masks.
        sources: files, folders, zip archives; of every DICOM study the series that the task wants.
        output_dir: where the masks go; folders are mirrored in it.
        formats: of masks of DICOM images, see :data:`kdseg.masks.DICOM_FORMATS`.
        preview: write a picture of each mask beside it.
        overwrite: replace files that are there already.

    Raises:
        UserError: when a source is not there or holds no image, a format is unknown, or the masks cannot be written
            there at all.
    """
    from tqdm import tqdm

    formats = check_formats(formats)
    result, names = Prediction(Path(output_dir)), OutputNames(Path(output_dir))
    with tempfile.TemporaryDirectory(prefix="kdseg-") as scratch:
        items = find_inputs(sources, segmenter.wanted, Path(scratch))
        _check_folder(result.output_dir)
        run = _Run(segmenter, result, names, formats, preview, overwrite)
        waiting = [item for item in items if not run.is_done(item)]
        with (
            ThreadPoolExecutor(1, "read") as reader,
            ThreadPoolExecutor(1, "write") as writer,
            # disable=None: a bar in a terminal only
            tqdm(total=len(waiting), desc="segmenting", unit="file", disable=None) as bar,
        ):
            ahead = reader.submit(run.load, waiting[0]) if waiting else None
            writing: Future[None] | None = None
            for place, item in enumerate(waiting):
                assert ahead is not None
                loaded = ahead.result()
                ahead = reader.submit(run.load, waiting[place + 1]) if place + 1 < len(waiting) else None
                segmented = run.segment(item, loaded)
                del loaded
                if writing is not None:
                    writing.result()
                writing = writer.submit(run.write, item, segmented)
                del segmented
                bar.update()
            if writing is not None:
                writing.result()
    return result


@dataclass
class _Run:
    segmenter: Segmenter
    result: Prediction
    names: OutputNames
    formats: Sequence[str]
    preview: bool
    overwrite: bool

    def is_done(self, item: Input) -> bool:
        """Whether the masks of an input are there, made by this student from the input as it is now."""
        # a plain picture of several pages gets one NIfTI file
        either = [[DICOM_FORMATS[name] for name in self.formats]] if item.is_dicom else [[PNG], [NIFTI]]
        student = self.segmenter.maker.student
        for forms in either:
            paths = [self.names.path(item.path, form.suffix, item.root, form.word, item.key) for form in forms]
            there = not self.overwrite and student and all(path.is_file() for path in paths)
            if not there or any((read_mark(path) or {}).get("student") != student for path in paths):
                continue
            if item.modified() <= min(path.stat().st_mtime for path in paths):
                self.result.done_before.append(item.shown)
                return True
        return False

    def load(self, item: Input) -> Any:
        """The prepared image with the seconds that it took, or the error."""
        try:
            started = time.perf_counter()
            image = self.segmenter.read(item)
            read = time.perf_counter()
            prepared = self.segmenter.prepare(image)
            return prepared, {"read": read - started, "prepare": time.perf_counter() - read}
        # whatever a case raises, in reading, transforms, network or writing, is its own affair
        except Exception as error:
            return error

    def segment(self, item: Input, loaded: Any) -> Any:
        if isinstance(loaded, Exception):
            return loaded
        prepared, seconds = loaded
        try:
            mask, more, remarks = self.segmenter.segment(prepared, item)
        except Exception as error:
            return error
        return mask, seconds | dict(more), remarks

    def write(self, item: Input, segmented: Any) -> None:
        try:
            if isinstance(segmented, Exception):
                raise segmented
            self._write(item, *segmented)
        except Exception as error:
            told = user_error_in(error)
            cause = told.__cause__ if told is not None else error
            if isinstance(cause, OSError) and cause.errno in NO_PLACE and _is_about(told, self.result.output_dir):
                raise
            self.result.set_aside.append(str(told) if told else f"{item.path.name}: {reason_of(error)}")
            logger.debug("set aside", exc_info=error)

    def _write(self, item: Input, mask: Mask, seconds: dict[str, float], remarks: list[str]) -> None:
        started = time.perf_counter()
        paths, more = save_mask(mask, self.names, self.formats, item.root, self.overwrite, item.key)
        amounts = mask.millilitres()
        case: dict[str, Any] = {"input": str(item.path), "shown": item.shown, "output": str(paths[0])}
        if len(paths) > 1:
            case["outputs"] = [str(path) for path in paths]
        if self.preview:
            picture = self.names.path(item.path, ".png", item.root, "preview", item.key)
            case["preview"] = str(write_preview(mask, picture))
        seconds["write"] = time.perf_counter() - started
        nothing = ["nothing was found"] if not mask.values.any() else []
        case |= {
            "frame": None if mask.is_volume else mask.frame,
            "frames": len(mask.values),
            **({"series": mask.series} if mask.series else {}),
            "ml": amounts,
            "seconds": round(sum(seconds.values()), 3),
            "stages": {name: round(value, 4) for name, value in seconds.items()},
            "warnings": [*remarks, *more, *nothing],
        }
        self.result.cases.append(case)


def _is_about(told: UserError | None, folder: Path) -> bool:
    """Whether an error is about a place below the folder of the masks."""
    return told is not None and str(folder) in told.where


def _check_folder(folder: Path) -> None:
    """Make the folder, and see whether a file can be written there, before hours are spent.

    Raises:
        UserError: when it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        found, fix = f"that nothing can be written there ({error.strerror or error})", "name another folder"
        raise UserError(folder, found=found, expected="a folder for the masks", fix=fix) from error
