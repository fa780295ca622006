"""From tubes in the patient to millimetres of contrast along the ray of each detector element."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdseg.phantom.vessels import HEART_AXES, HEART_RADII, Tubes

__all__ = ["CArm", "heart_chords", "thickness", "visible_mask"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CArm:
    """Where the tube and the detector stand, and what the detector sees.

    Args:
        primary: angle in degrees, positive to the left of the patient (LAO), as in DICOM's PositionerPrimaryAngle.
        secondary: angle in degrees, positive to the head (cranial).
        size: rows and columns of the detector.
        spacing: distance of two detector elements, mm, as in DICOM's ImagerPixelSpacing.
        centre: column and row, mm on the detector, that the middle of the picture looks at.
        source_to_patient: mm from the X-ray source to the middle of the heart.
        source_to_detector: mm from the X-ray source to the detector.
    """

    primary: float
    secondary: float
    size: int
    spacing: float
    centre: tuple[float, float] = (0.0, 0.0)
    source_to_patient: float = 750.0
    source_to_detector: float = 1050.0

    @property
    def axes(self) -> Floats:
        """Rows: the directions of the columns (image right), of the rows (image down) and towards the detector."""
        alpha, beta = np.deg2rad(self.primary), np.deg2rad(self.secondary)
        towards = np.array([np.sin(alpha) * np.cos(beta), -np.cos(alpha) * np.cos(beta), np.sin(beta)])
        right = np.array([np.cos(alpha), np.sin(alpha), 0.0])
        return np.stack([right, -np.cross(towards, right), towards])

    def project(self, points: Floats) -> tuple[Floats, Floats, Floats]:
        """Column and row (in pixels) of points ``N3`` in mm, and how much each is magnified (pixels per mm)."""
        right, down, towards = self.axes @ points.T
        magnification = self.source_to_detector / (self.source_to_patient + towards)
        middle = (self.size - 1) / 2.0
        column = (right * magnification - self.centre[0]) / self.spacing + middle
        row = (down * magnification - self.centre[1]) / self.spacing + middle
        return column, row, magnification / self.spacing


def thickness(tubes: Tubes, arm: CArm, filling: Floats | None = None) -> Floats:
    """Millimetres of contrast along each ray, ``HW``; where vessels overlap their thicknesses add up.

    A tube is a row of discs: sweeping a flat disc of radius ``r`` along a projected line leaves ``2·sqrt(r² - d²)`` at
    the distance ``d`` from it, which is the chord of a cylinder; a piece that runs along the ray deposits its length on
    fewer pixels, which is its foreshortening.

    Args:
        tubes: the vessels, ``N`` elements.
        arm: the projection.
        filling: share of contrast in each element, ``N``, 0 to 1 (default: full).
    """
    column, row, scale = arm.project(tubes.points)
    weights = tubes.lengths if filling is None else tubes.lengths * filling
    return _stamp(column, row, tubes.radii * scale, weights, arm.size)


def visible_mask(tubes: Tubes, arm: CArm, smallest: float) -> NDArray[np.bool_]:
    """Pixels ``HW`` whose centre lies in the projection of a vessel that a reader would mark.

    Vessels count from ``smallest`` mm of nominal radius, or 0.6 pixel of radius where the detector is coarser. A
    stenosis stays in the mask, as narrow as it is.
    """
    column, row, scale = arm.project(tubes.points)
    kept = (tubes.nominal_radii >= smallest) & (tubes.nominal_radii * scale >= 0.6)
    # at least 0.8 pixel, so that a tight stenosis does not break the vessel in two
    radii = np.maximum(tubes.radii * scale, 0.8)[kept]
    return _stamp(column[kept], row[kept], radii, np.ones(radii.size), arm.size, sharp=True) > 0.0


def heart_chords(arm: CArm) -> Floats:
    """Millimetres of heart (the ellipsoid that the vessels lie on) along each ray, ``HW``."""
    pixel = (np.arange(arm.size) - (arm.size - 1) / 2.0) * arm.spacing
    shrink = arm.source_to_patient / arm.source_to_detector
    right, down = np.meshgrid((pixel + arm.centre[0]) * shrink, (pixel + arm.centre[1]) * shrink)
    # |o + t·d| = 1 in coordinates where the ellipsoid is the unit sphere
    to_sphere = HEART_AXES / HEART_RADII[:, None]
    across, along, ray = (to_sphere @ axis for axis in arm.axes)
    origin = across[:, None, None] * right + along[:, None, None] * down
    a = float(ray @ ray)
    b = np.tensordot(ray, origin, axes=1)
    discriminant = b**2 - a * ((origin**2).sum(axis=0) - 1.0)
    return 2.0 * np.sqrt(np.maximum(discriminant, 0.0)) / a


def _stamp(column: Floats, row: Floats, radii: Floats, weights: Floats, size: int, sharp: bool = False) -> Floats:
    """Sum of weighted discs on a ``size``×``size`` grid; discs of similar radius are stamped together."""
    image = np.zeros(size * size)
    reach = np.ceil(radii + 0.5).astype(int)
    inside = (column > -reach) & (column < size + reach) & (row > -reach) & (row < size + reach) & (weights > 0.0)
    for half in np.unique(reach[inside]):
        chosen = inside & (reach == half)
        offsets = np.arange(-half, half + 1)
        columns = np.rint(column[chosen]).astype(int)[:, None] + offsets
        rows = np.rint(row[chosen]).astype(int)[:, None] + offsets
        away = np.sqrt((rows - row[chosen, None])[:, :, None] ** 2 + (columns - column[chosen, None])[:, None, :] ** 2)
        radius = radii[chosen, None, None]
        if sharp:
            cover = (away <= radius).astype(np.float64)
        else:
            cover = np.clip(radius - away + 0.5, 0.0, 1.0)
            # a disc thinner than a pixel keeps its area
            cover *= np.minimum(1.0, np.pi * radius**2 / cover.sum(axis=(1, 2), keepdims=True).clip(1e-6))
        cover *= weights[chosen, None, None]
        valid = ((rows >= 0) & (rows < size))[:, :, None] & ((columns >= 0) & (columns < size))[:, None, :]
        cover *= valid
        place = np.clip(rows, 0, size - 1)[:, :, None] * size + np.clip(columns, 0, size - 1)[:, None, :]
        image += np.bincount(place.ravel(), cover.ravel(), size * size)
    return image.reshape(size, size)
