"""Opens every image and mask of a data set before training does, and tells what cannot be used and why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kdseg.data.checks.content import content_of_picture
from kdseg.data.frames.mask_reader import MaskReader, mask_values
from kdseg.data.frames.picture_reader import PictureReader
from kdseg.data.lists.datalist import SECTIONS, Record
from kdseg.errors import UserError
from kdseg.losses import IGNORED

__all__ = ["UnusableError", "check_cases", "check_tissue", "check_vessels"]

# a copy is left out of the section that can spare it: never of a test set
PRIORITY = ("test", "validation", "training", None, "unlabelled")
# one grey level that fills this part of what is not background is a class of its own, not the soft edge of another;
# so is one that fills the lesser part, far from black and white, where hardly any other grey occurs
EXTRA_CLASS = 0.2
LONE_CLASS = 0.01
LONE = 0.9
NEAR = 0.1
LARGEST_MASK = 0.5


def check_cases(
    records: Sequence[Record],
    image_reader: PictureReader,
    mask_reader: MaskReader,
    check_mask: Callable[[np.ndarray], None],
    progress: bool = False,
) -> tuple[list[Record], list[dict[str, str]]]:
    """Check each record, and return those that can be used and what is wrong with the others.

    A case is left out when its image or mask cannot be opened; when the image is of a single grey; when image and
    mask differ in size; when the mask holds other values than two classes, or is not one by ``check_mask``; when its
    picture occurs twice (compared by pixels, so also as another file type); when its patient is in two sections of a
    published split. Of copies, the one in the test section stays, then validation, training, unlabelled.

    Args:
        records: with "image", "case", and where known "label", "patient" and "section"; absolute paths.
        image_reader, mask_reader: as training uses them.
        check_mask: given a mask ``(1, W, H)``, raises :class:`UnusableError` where no mask of the task looks like that.
        progress: show a progress bar, on a terminal only.

    Returns:
        the kept records in their order, with "frame_count" added, and problems {"case", "file", "reason"}.
    """
    from tqdm import tqdm

    order = sorted(range(len(records)), key=lambda index: PRIORITY.index(records[index].get("section")))
    kept: dict[int, Record] = {}
    problems: list[dict[str, str]] = []
    case_of_picture: dict[str, str] = {}
    section_of_patient: dict[str, str] = {}
    for index in tqdm(order, desc="checking", unit="case", leave=False, disable=None if progress else True):
        record = records[index]
        case, file = record["case"], Path(record["image"])
        try:
            image, meta = image_reader.get_data([file])
            if image.min() == image.max():
                raise UnusableError("the picture is of a single grey")
            if "label" in record:
                file = Path(record["label"])
                mask, mask_meta = mask_reader.get_data([file])
                _check_size(mask, image)
                check_mask(mask)
                _check_values(mask_reader, file, mask_meta["frame"])
                file = Path(record["image"])
            picture = content_of_picture(image)
            if picture in case_of_picture:
                raise UnusableError(f"the same picture as case {case_of_picture[picture]}")
            section, patient = record.get("section"), record.get("patient")
            if section in SECTIONS[:3] and patient and section_of_patient.setdefault(patient, section) != section:
                raise UnusableError(f"its patient is also in section {section_of_patient[patient]}")
        except (UserError, UnusableError) as error:
            reason = error.found if isinstance(error, UserError) else str(error)
            problems.append({"case": case, "file": file.name, "reason": reason})
            continue
        case_of_picture[picture] = case
        kept[index] = record | {"frame_count": meta["frame_count"]}
    return [kept[index] for index in sorted(kept)], problems


class UnusableError(Exception):
    """Why a case is left out, for :func:`check_cases` alone."""


def check_vessels(mask: np.ndarray) -> None:
    """Refuse a vessel mask that is empty, or covers more than half of the picture.

    Raises:
        UnusableError: with the reason.
    """
    covered = float(mask.mean())
    if covered == 0:
        raise UnusableError("the mask is empty")
    if covered > LARGEST_MASK:
        raise UnusableError(f"the mask covers {covered:.0%} of the picture; it seems to be inverted")


def check_tissue(mask: np.ndarray) -> None:
    """Refuse a tissue mask of which no pixel counts; without a tumour, or all tumour, it is as good as any.

    Raises:
        UnusableError: with the reason.
    """
    if (mask == IGNORED).all():
        raise UnusableError("every pixel of the mask is to be ignored")


def _check_size(mask: np.ndarray, image: np.ndarray) -> None:
    if mask.shape[1:] != image.shape[1:]:
        sizes = ["×".join(map(str, array.shape[1:])) for array in (mask, image)]
        raise UnusableError(f"the mask is {sizes[0]} pixels and the image {sizes[1]}")


def _check_values(reader: MaskReader, path: Path, frame: int) -> None:
    levels, counts = np.unique(mask_values(reader.open_file(path), frame), return_counts=True)
    counted = levels != reader.ignored
    levels, counts = levels[counted], counts[counted]
    extra = dict(zip(levels[1:-1], counts[1:-1], strict=True))
    largest = max(extra, key=lambda level: extra[level], default=None)
    if largest is None:
        return
    share = extra[largest] / counts[1:].sum()
    depth = float(levels[-1] - levels[0])
    lone = extra[largest] > LONE * sum(extra.values()) and NEAR < (largest - levels[0]) / depth < 1 - NEAR
    if share > (LONE_CLASS if lone else EXTRA_CLASS):
        raise UnusableError(
            f"the mask has a third value {largest:g}, expected background and one class only; "
            f"--ignored {largest:g} leaves such pixels out"
        )
