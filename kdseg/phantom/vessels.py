"""Coronary trees of a kind, and their shadows: branching curves on a curved wall, seen from an angle.

Positions are patient coordinates in mm (x to the left, y to the back, z to the head) around the middle of the heart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

__all__ = ["Tubes", "View", "coronary_tree", "thickness"]

Floats = NDArray[np.float64]

STEP = 0.4  # mm between two elements of a vessel
HEART_RADIUS = 38.0  # mm, of the wall that the vessels run on
SMALLEST_RADIUS = 0.25  # mm; thinner vessels leave no trace on a detector
FURTHER = 0.85  # of a branch's radius: what it leaves the vessel that goes on


class Tubes(NamedTuple):
    """Elements of vessels: centres ``N3``, radii ``N`` and the way from the ostium ``N``, all in mm."""

    points: Floats
    radii: Floats
    distances: Floats


@dataclass(frozen=True)
class View:
    """How the tube and the detector stand, and what they see."""

    # primary, secondary: angles in degrees, as in DICOM's PositionerPrimaryAngle and PositionerSecondaryAngle
    primary: float
    secondary: float
    size: int  # rows and columns of the picture
    spacing: float  # mm of the patient in a pixel
    centre: tuple[float, float] = (0.0, 0.0)  # what the middle of the picture looks at, mm to the right and down

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Column and row, in pixels, of points ``N3`` in mm."""
        alpha, beta = np.deg2rad(self.primary), np.deg2rad(self.secondary)
        towards = np.array([np.sin(alpha) * np.cos(beta), -np.cos(alpha) * np.cos(beta), np.sin(beta)])
        right = np.array([np.cos(alpha), np.sin(alpha), 0.0])
        middle = (self.size - 1) / 2
        column = (points @ right - self.centre[0]) / self.spacing + middle
        return column, (points @ -np.cross(towards, right) - self.centre[1]) / self.spacing + middle


def coronary_tree(rng: np.random.Generator) -> Tubes:
    """Two main vessels from one ostium, each with branches of branches; its own tortuosity."""
    wandering = rng.uniform(0.2, 0.7)
    # on the unrolled wall: place, heading (0 is down, to the apex), radius, length, way so far
    waiting = [
        (np.zeros(2), rng.uniform(*turn), rng.uniform(1.1, 1.7), rng.uniform(90.0, 130.0), 0.0)
        for turn in ((-0.7, 0.0), (0.3, 1.1))
    ]
    vessels = []
    while waiting:
        start, heading, radius, length, way = waiting.pop()
        along = np.arange(0.0, length, STEP)
        noise = gaussian_filter1d(rng.standard_normal(along.size), 5.0 / STEP, mode="reflect")
        angles = heading + wandering * noise / noise.std() * np.clip(along / 8.0, 0.0, 1.0)
        path = start + np.cumsum(np.stack([np.sin(angles), -np.cos(angles)], axis=1), axis=0) * STEP
        # between branches a vessel thins a little
        radii = radius * np.exp(-0.006 * along)
        for place in np.sort(rng.integers(10, along.size - 5, rng.poisson(length / 16.0))):
            branch = float(radii[place]) * rng.uniform(0.4, 0.85)
            if branch < SMALLEST_RADIUS:
                continue
            turned = angles[place] + rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.1)
            waiting.append((path[place], turned, branch, rng.uniform(25.0, 45.0) * branch + 4.0, way + along[place]))
            # Murray's law: the cubes of the radii add up
            radii[place:] *= (1.0 - (FURTHER * branch / radii[place]) ** 3) ** (1.0 / 3.0)
        kept = radii >= SMALLEST_RADIUS
        turn = path[:, 0] / HEART_RADIUS
        wall = HEART_RADIUS * np.stack([np.sin(turn), -np.cos(turn)], axis=1)
        points = np.concatenate([wall, path[:, 1:] + 45.0], axis=1)
        vessels.append((points[kept], radii[kept], way + along[kept]))
    return Tubes(*(np.concatenate(field) for field in zip(*vessels, strict=True)))


def thickness(tubes: Tubes, view: View, filling: Floats | None = None) -> Floats:
    """Millimetres of contrast along the ray of each pixel, ``HW``: the chords of the vessels.

    Args:
        tubes: the vessels, ``N`` elements.
        view: from where.
        filling: share of contrast in each element, ``N``; full by default.
    """
    image = np.zeros((view.size, view.size))
    weights = np.ones(tubes.radii.size) if filling is None else filling
    columns, rows = view.project(tubes.points)
    for column, row, radius, weight in zip(columns, rows, tubes.radii / view.spacing, weights, strict=True):
        reach = radius + 0.5
        window = tuple(slice(max(0, int(at - reach)), max(0, int(at + reach) + 2)) for at in (row, column))
        part = image[window]
        down, across = (np.arange(view.size)[one] - at for one, at in zip(window, (row, column), strict=True))
        squares = reach**2 - down[:, None] ** 2 - across**2
        chords = 2.0 * weight * view.spacing * radius / reach * np.sqrt(np.maximum(squares, 0.0))
        np.maximum(part, chords, out=part)
    return image
