"""Masks for files and folders: one case after the other, a bad one is set aside and the rest goes on."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kdseg.data import find_images, find_volume_files
from kdseg.deploy.student import Student, check_modality
from kdseg.errors import reason_of, user_error_in
from kdseg.masks import is_marked
from kdseg.transforms import SaveMaskd

__all__ = ["Prediction", "predict_files"]

logger = logging.getLogger(__name__)


@dataclass
class Prediction:
    """What :func:`predict_files` did.

    Attributes:
        output_dir: where the masks are.
        cases: input, output, frames, seconds and the ml of each class, of every case that was segmented.
        set_aside: why the others were not.
    """

    output_dir: Path
    cases: list[dict[str, Any]] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)


def predict_files(student: Student, source: str | Path, output_dir: str | Path, overwrite: bool = False) -> Prediction:
    """Write a mask for every image of a folder, in the form of its input.

    Args:
        student: see :class:`Student`.
        source: a file, or a folder with all that is in it; of every DICOM study the series that the task wants.
        output_dir: where the masks go; the folders of ``source`` are mirrored in it.
        overwrite: replace files that are there already.

    Raises:
        UserError: when there is no such place, no image in it, or the masks cannot be written there at all.
    """
    from tqdm import tqdm

    entries, result = _inputs(student, source), Prediction(Path(output_dir))
    result.output_dir.mkdir(parents=True, exist_ok=True)
    saver = SaveMaskd("pred", output_dir, source, labels=student.task.labels, overwrite=overwrite)
    # disable=None: a bar in a terminal only
    for entry in tqdm(entries, desc="segmenting", unit="file", disable=None):
        first = Path(entry[0] if isinstance(entry, list) else entry)
        if _is_own_mask(first, result.output_dir):
            continue
        started = time.perf_counter()
        try:
            if student.task.kind == "picture":
                check_modality(first, student.task.modality, student.task.name)
            item = student.prepare({"image": entry})
            mask = student.masks(item, student.prepare)
            path = saver.save(mask, item["image"].meta)
        # whatever a case raises, in reading, transforms, network or writing, is its own affair
        except Exception as error:
            told = user_error_in(error)
            result.set_aside.append(str(told) if told else f"{first.name}: {reason_of(error)}")
            logger.debug("set aside", exc_info=error)
            continue
        meta = item["image"].meta
        result.cases.append(
            {
                "input": str(first),
                "output": str(path),
                "frame": meta.get("frame"),
                "frames": int(mask.shape[0]),
                **({"series": meta["series"]} if meta.get("series") else {}),
                "ml": _volumes(mask, meta, student.task.labels) if student.task.kind == "volume" else {},
                "seconds": round(time.perf_counter() - started, 3),
            }
        )
    return result


def _inputs(student: Student, source: str | Path) -> list[Any]:
    if student.task.kind == "picture":
        return list(find_images(source))
    modality = student.task.modality[0] if len(student.task.modality) == 1 else None
    return find_volume_files(source, modality=modality, description=student.task.series, plane=student.task.plane)


def _is_own_mask(path: Path, output_dir: Path) -> bool:
    """Whether a file in the folder of the masks is one: it is not segmented again."""
    return output_dir.resolve() in path.resolve().parents and is_marked(path)


def _volumes(mask: Any, meta: Any, labels: dict[str, str]) -> dict[str, float]:
    """Millilitres of each class."""
    import numpy as np

    voxel = abs(float(np.linalg.det(np.asarray(meta["original_affine"])[:3, :3]))) / 1000
    return {
        name: round(float((mask == int(number)).sum()) * voxel, 3) for number, name in labels.items() if number != "0"
    }
