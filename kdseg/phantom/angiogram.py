"""One phantom angiogram: a patient's heart, seen by a C-arm while contrast flows in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from kdseg.phantom.anatomy import catheter_path, chest, tube_along
from kdseg.phantom.detector import collimator, draw_detector
from kdseg.phantom.projection import CArm, thickness, visible_mask
from kdseg.phantom.vessels import Tubes, coronary_tree

__all__ = ["VISIBLE_RADIUS", "Angiogram", "acquire", "make_phantom"]

Floats = NDArray[np.float64]

VISIBLE_RADIUS = 0.45  # mm; a reader marks vessels of a millimetre and leaves the finer ones


@dataclass(frozen=True)
class Angiogram:
    """What one acquisition gives.

    Args:
        frames: grey values, ``FHW``, 0 (black) to 1; the last frame has the most contrast.
        mask: vessel pixels of the last frame, ``HW``.
        arm: angles, pixel spacing and distances of the acquisition.
    """

    frames: NDArray[np.float32]
    mask: NDArray[np.bool_]
    arm: CArm


def make_phantom(rng: np.random.Generator, size: int = 256) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One angiogram of a new patient and the mask of its vessels.

    Args:
        rng: where all chance comes from; the same state gives the same picture.
        size: rows and columns.

    Returns:
        The image, ``HW``, 8-bit greys with dark vessels, and the mask, ``HW``, 1 where a vessel is.

    Example:
        >>> import numpy as np
        >>> image, mask = make_phantom(np.random.default_rng(0), size=64)
        >>> image.shape, image.dtype.name, sorted(set(mask.ravel().tolist()))
        ((64, 64), 'uint8', [0, 1])
    """
    angiogram = acquire(rng, coronary_tree(rng), size)
    return np.rint(angiogram.frames[-1] * 255.0).astype(np.uint8), angiogram.mask.astype(np.uint8)


def acquire(rng: np.random.Generator, tree: Tubes, size: int, frames: int = 1) -> Angiogram:
    """Take a picture or a cine of a heart, with an angle, a dose and a machine of its own.

    Args:
        rng: where all chance comes from.
        tree: the patient's vessels.
        size: rows and columns of the detector.
        frames: of the cine; contrast fills the tree until the last one.
    """
    arm = _aim(rng, tree, size)
    aperture = collimator(rng, size)
    detector = draw_detector(rng)
    still = chest(rng, arm) + _catheter(rng, tree, arm)
    # diluted iodine, per mm of vessel; the blush is contrast in vessels too fine to be drawn
    absorption, blush = rng.uniform(0.04, 0.11), rng.uniform(0.0, 0.012)
    # the front reaches the last visible vessel with the last frame, and the bolus grows denser until then
    reach = float(np.quantile(tree.distances, 0.97)) + 10.0
    exposures = []
    for frame in range(1, frames + 1):
        share = frame / frames
        filling = _filling(tree, reach * share) * (0.3 + 0.7 * share) if frames > 1 else np.ones(tree.radii.size)
        beat = 0.012 * np.sin(2.0 * np.pi * (frame - frames) / 6.0)
        moved = tree._replace(points=tree.points * (1.0 + beat))
        contrast = thickness(moved, arm, filling)
        attenuation = still + absorption * contrast + blush * gaussian_filter(contrast, size / 40.0)
        exposures.append(detector.expose(rng, attenuation, aperture))
    mask = visible_mask(tree, arm, VISIBLE_RADIUS) & (aperture > 0.5)
    return Angiogram(detector.display(exposures, aperture).astype(np.float32), mask, arm)


def _aim(rng: np.random.Generator, tree: Tubes, size: int) -> CArm:
    """A C-arm at a usual angle whose picture is filled by the visible part of the tree."""
    angles = rng.uniform(-45.0, 50.0), rng.uniform(-30.0, 35.0)
    visible = tree.points[tree.nominal_radii >= VISIBLE_RADIUS]
    column, row, _ = CArm(*angles, size, 1.0).project(visible)
    corner, opposite = np.array([column.min(), row.min()]), np.array([column.max(), row.max()])
    field = np.clip((opposite - corner).max() * rng.uniform(0.95, 1.35), 100.0, 180.0)
    centre = (corner + opposite) / 2.0 - (size - 1) / 2.0 + rng.uniform(-0.1, 0.1, 2) * field
    return CArm(*angles, size, round(float(field) / size, 4), (float(centre[0]), float(centre[1])))


def _filling(tree: Tubes, front: float) -> Floats:
    """Share of contrast in each element when the front of the bolus is ``front`` mm from the ostium."""
    return 1.0 / (1.0 + np.exp(np.clip((tree.distances - front) / 6.0, -30.0, 30.0)))


def _catheter(rng: np.random.Generator, tree: Tubes, arm: CArm) -> Floats:
    """Attenuation of the catheter, of contrast that flows back into the aorta, and sometimes of a pacing wire."""
    ostium = tree.points[0]
    direction = tree.points[8] - ostium
    path = catheter_path(rng, ostium, direction / np.linalg.norm(direction))
    outer = rng.uniform(0.8, 1.15)
    wall = thickness(tube_along(path, outer), arm)
    lumen = thickness(tube_along(path, 0.7 * outer), arm)
    shade = rng.uniform(0.05, 0.12) * (wall - lumen) + rng.uniform(0.03, 0.13) * lumen
    if rng.random() < 0.4:
        root = ostium + (path[1] - ostium) * 0.4
        column, row, scale = arm.project(root[None])
        rows, columns = np.ogrid[: arm.size, : arm.size]
        away = np.hypot(rows - row[0], columns - column[0]) / (scale[0] * rng.uniform(4.0, 10.0))
        shade = shade + rng.uniform(0.05, 0.3) * np.exp(-(away**2))
    if rng.random() < 0.15:
        wire = rng.uniform(-1.0, 1.0, (4, 3)) * [50.0, 50.0, 20.0] + np.linspace(120.0, -90.0, 4)[:, None] * [0, 0, 1]
        shade = shade + rng.uniform(0.1, 0.3) * thickness(tube_along(wire, rng.uniform(0.4, 0.9)), arm)
    return shade
