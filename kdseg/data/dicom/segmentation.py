"""The segments of a DICOM SEG file as one label map, on the grid that the file itself has."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdseg.data.dicom.decoders import decoder_of
from kdseg.data.dicom.frames import Frame, read_frames
from kdseg.data.dicom.geometry import EVEN_TOLERANCE, LPS_TO_RAS, SHIFT_TOLERANCE, sideways_shifts
from kdseg.data.dicom.stacks import SAME_POSITION
from kdseg.data.dicom.structures import values_to_paint
from kdseg.errors import UserError

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["read_segmentation"]


def read_segmentation(
    path: Path, names: Mapping[str, int] | None, absent: str, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """The label map ``(W, H, D)`` of a SEG file and its affine, 4×4 in RAS axes.

    Binary, fractional and label-map segmentations. A fractional segment is where its value is at least half of the
    maximal one. Frames that the file leaves out are background. Where segments overlap, the one painted later covers.

    Args:
        path: the file.
        names, absent: see :func:`kdseg.data.dicom.structures.values_to_paint`.
        step: the distance between slices in mm for a file of one plane, which has none.

    Raises:
        UserError: when the file cannot be decoded, is of a slide, or its planes are not parallel, evenly spaced and
            straight above each other.
    """
    import pydicom

    frames = read_frames(path)
    _check(frames, path.name)
    try:
        with warnings.catch_warnings():
            # pydicom's warnings quote header values, and those may name a patient
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path)
            structures = [
                (int(item.SegmentNumber), str(item.get("SegmentLabel") or "")) for item in dataset.SegmentSequence
            ]
            painted = values_to_paint(structures, names, absent, path.name)
            depths, step = _planes(frames, step, path.name)
            places = np.rint((np.array([frame.depth for frame in frames]) - depths[0]) / step).astype(int)
            label = np.zeros((*frames[0].shape, int(places.max()) + 1), dtype=np.int16)
            for number, value in painted:
                for frame, place in zip(frames, places, strict=True):
                    inside = _segment(dataset, frame.index, number)
                    if inside is not None:
                        label[..., place][inside.T] = value
    except UserError:
        raise
    except Exception as error:
        # damaged content raises whatever the decoder happens to run into
        raise UserError(
            path.name,
            found=f"segments that cannot be decoded ({type(error).__name__}: {str(error)[:200]})",
            expected="a whole DICOM SEG file",
            fix="export the segmentation again",
        ) from error
    lowest = frames[int(np.argmin(places))]
    affine = np.eye(4)
    width, height = lowest.pixel_spacing
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = lowest.row * width, lowest.column * height, lowest.normal * step
    affine[:3, 3] = lowest.position
    return label, LPS_TO_RAS @ affine


def _check(frames: list[Frame], name: str) -> None:
    flaw = next((frame.flaw for frame in frames if frame.flaw), None)
    first = frames[0]
    if flaw is None and any(np.abs(frame.normal - first.normal).max() > EVEN_TOLERANCE / 100 for frame in frames):
        flaw = "planes that are not parallel"
    if flaw is None and np.abs(sideways_shifts(frames)).max() > SHIFT_TOLERANCE:
        flaw = "planes that are shifted sideways against each other"
    if flaw:
        raise UserError(
            name, found=flaw, expected="a segmentation of a volume, in parallel planes", fix="export it as NIfTI"
        )


def _planes(frames: list[Frame], single: float, name: str) -> tuple[np.ndarray, float]:
    """The different depths of the frames, and the distance between slices of which all gaps are multiples."""
    ordered = np.sort([frame.depth for frame in frames])
    depths = ordered[np.concatenate([[True], np.diff(ordered) > SAME_POSITION])]
    gaps = np.diff(depths)
    if not len(gaps):
        return depths, single
    for step in (frames[0].thickness, float(gaps.min())):
        if step and step <= gaps.min() * (1 + EVEN_TOLERANCE):
            multiples = gaps / step
            if np.abs(multiples - np.rint(multiples)).max() <= EVEN_TOLERANCE:
                return depths, float(depths[-1] - depths[0]) / float(np.rint(multiples).sum())
    raise UserError(
        name,
        found=f"planes {gaps.min():.3g} to {gaps.max():.3g} mm apart",
        expected="evenly spaced planes",
        fix="draw the segmentation on an evenly spaced series, or export it as NIfTI",
    )


def _segment(dataset: Dataset, index: int, number: int) -> np.ndarray | None:
    """Where segment ``number`` is in frame ``index``, ``(rows, columns)``; None if the frame is of another one."""
    from pydicom.pixels import pixel_array

    if dataset.SegmentationType == "LABELMAP":
        return pixel_array(dataset, index=index, decoding_plugin=decoder_of(dataset)) == number
    groups: list[Any] = [dataset.PerFrameFunctionalGroupsSequence[index]]
    groups += dataset.get("SharedFunctionalGroupsSequence") or []
    identification = next(group for group in groups if "SegmentIdentificationSequence" in group)
    if int(identification.SegmentIdentificationSequence[0].ReferencedSegmentNumber) != number:
        return None
    values = pixel_array(dataset, index=index, decoding_plugin=decoder_of(dataset))
    if dataset.SegmentationType == "FRACTIONAL":
        return values >= int(dataset.get("MaximumFractionalValue") or 255) / 2
    return values > 0
