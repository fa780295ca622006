"""Where a stack of slices lies in space, and whether its slices are evenly spaced and stand straight.

highdicom tells whether a stack is a volume, but neither why it is none nor how it could become one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kdseg.data.formats.dicom.slice_headers import Frame
from kdseg.data.formats.dicom.stacks import SAME_POSITION

__all__ = ["Geometry", "measure"]

# of the distance between slices: how far a slice may be from its even place. Positions written with one decimal are
# up to 0.05 mm off, which is 8 % of 0.625 mm; a missing slice is off by far more
EVEN_TOLERANCE = 0.1
# of a pixel: how far the last slice may be shifted sideways against the first
SHIFT_TOLERANCE = 0.25
# DICOM's axes point left and posterior, those of NIfTI and MONAI right and anterior
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Geometry:
    """The grid of a stack."""

    shape: tuple[int, int, int]  # columns, rows, slices: MONAI's order of axes
    spacing: tuple[float, float, float]  # in mm, in the same order
    affine: np.ndarray  # 4×4, from indices in this order to mm in RAS axes, as nibabel gives it
    # why the slices are no even, straight grid, or None. The grid is then the one that resampling gives
    fault: str | None = None
    mendable: bool = True  # whether resampling overcomes the fault


def measure(frames: Sequence[Frame]) -> Geometry:
    """The grid of frames that are sorted along their normal; spacing from their positions, not from the header.

    A single slice takes its thickness from the header, and 1 mm where that has none.
    """
    first = frames[0]
    depths = np.array([frame.depth for frame in frames])
    steps = np.diff(depths)
    if len(frames) == 1:
        step, count, fault = first.thickness or 1.0, 1, None
    elif steps.min() <= SAME_POSITION:
        fault = "several slices at one position, and nothing in their headers tells them apart"
        return Geometry((*first.shape, len(frames)), (*first.pixel_spacing, 0.0), np.eye(4), fault, mendable=False)
    else:
        step, count, fault = _step(depths)
    shifts = sideways_shifts(frames)
    if np.abs(shifts).max() > SHIFT_TOLERANCE:
        fault = "; ".join(filter(None, [_tilt(frames, shifts), fault]))
    low, high = canvas(shifts)
    width, height = first.pixel_spacing
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = first.row * width, first.column * height, first.normal * step
    affine[:3, 3] = first.position + first.row * width * low[0] + first.column * height * low[1]
    shape = (first.shape[0] + int(high[0] - low[0]), first.shape[1] + int(high[1] - low[1]), count)
    return Geometry(shape, (width, height, step), LPS_TO_RAS @ affine, fault)


def sideways_shifts(frames: Sequence[Frame]) -> np.ndarray:
    """How far each slice is shifted against the first within its plane, in pixels along columns and rows, ``N2``."""
    offsets = np.array([frame.position - frames[0].position for frame in frames])
    return np.stack([offsets @ frames[0].row, offsets @ frames[0].column], axis=1) / frames[0].pixel_spacing


def canvas(shifts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and greatest shift, in whole pixels, that a canvas for all slices has to have room for."""
    # the tolerance, so that rounding in the header does not widen the canvas by a pixel
    low = np.floor(shifts.min(axis=0) + SHIFT_TOLERANCE).astype(int)
    return low, np.ceil(shifts.max(axis=0) - SHIFT_TOLERANCE).astype(int)


def _step(depths: np.ndarray) -> tuple[float, int, str | None]:
    """The distance between slices, how many slices an even grid has, and what is wrong with these."""
    intervals = len(depths) - 1
    extent = float(depths[-1] - depths[0])
    # fitted, not drawn from end to end, so that rounding of the first and last position does not count twice
    step, start = np.polyfit(np.arange(len(depths)), depths, 1)
    if np.abs(depths - start - step * np.arange(len(depths))).max() <= EVEN_TOLERANCE * step:
        return extent / intervals, len(depths), None
    steps = np.diff(depths)
    for usual in (float(np.median(steps)), float(steps.min())):
        multiples = np.rint(steps / usual)
        if multiples.min() >= 1 and np.abs(steps / usual - multiples).max() <= EVEN_TOLERANCE:
            missing = int(multiples.sum()) - intervals
            place = int(np.argmax(multiples > 1)) + 1
            fault = f"{missing} slice{'s' * (missing > 1)} missing, the first after slice {place} of {len(depths)}"
            return extent / (intervals + missing), len(depths) + missing, fault
    usual = float(np.median(steps))
    fault = f"uneven spacing: slices {steps.min():.3g} to {steps.max():.3g} mm apart"
    return usual, int(extent / usual + EVEN_TOLERANCE) + 1, fault


def _tilt(frames: Sequence[Frame], shifts: np.ndarray) -> str:
    travelled = frames[-1].position - frames[0].position
    cosine = abs(float(travelled @ frames[0].normal)) / max(float(np.linalg.norm(travelled)), 1e-9)
    straight = np.linspace(shifts[0], shifts[-1], len(shifts))
    if np.abs(shifts - straight).max() > SHIFT_TOLERANCE:
        return f"slices shifted sideways against each other by up to {np.abs(shifts).max():.1f} pixels"
    return f"gantry tilt: the slices lean by {np.degrees(np.arccos(min(cosine, 1.0))):.1f} degrees"
