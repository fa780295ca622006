"""Coronary trees in three dimensions: curves on the surface of a heart, with radii that obey Murray's law.

A tree is a bag of short tube elements; what follows (projection, filling with contrast) needs no more than that.
Positions are patient coordinates in mm (x to the left, y to the back, z to the head), with the middle of the heart at
the origin. On the heart's surface a position is a polar angle, from the middle of the base to the apex, and an azimuth,
zero in the anterior groove and growing to the patient's left.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from kdseg.phantom.courses import Branch, Course, left_course, right_course, side_branch

__all__ = ["HEART_AXES", "HEART_RADII", "Tubes", "coronary_tree", "murray_radii"]

Floats = NDArray[np.float64]

STEP = 0.25  # mm between two elements of a vessel
SMALLEST_RADIUS = 0.22  # mm; thinner vessels leave no trace on a detector
HEART_RADII = np.array([36.0, 33.0, 48.0])  # mm, half the width, depth and length of the ellipsoid


def _unit(vector: Floats) -> Floats:
    return vector / np.linalg.norm(vector)


_LONG_AXIS = _unit(np.array([0.60, -0.45, -0.66]))  # base to apex: to the left, the front and the feet
_FRONT = _unit(np.cross(np.cross(_LONG_AXIS, np.array([0.25, -1.0, 0.35])), _LONG_AXIS))
HEART_AXES = np.stack([_FRONT, np.cross(_FRONT, _LONG_AXIS), _LONG_AXIS])  # rows: anterior groove, left side, apex


class Tubes(NamedTuple):
    """Elements of tubes: ``N`` short pieces, each a disc of contrast swept over its length.

    Args:
        points: centres, ``N3``, mm in patient coordinates.
        radii: of the lumen, ``N``, mm.
        lengths: of the pieces, ``N``, mm.
        distances: way from the ostium, ``N``, mm; contrast arrives in this order.
        nominal_radii: what ``radii`` would be without stenoses, ``N``, mm; decides which vessels count as visible.
    """

    points: Floats
    radii: Floats
    lengths: Floats
    distances: Floats
    nominal_radii: Floats


def murray_radii(parent: float, ratio: float) -> tuple[float, float]:
    """Radii of the two daughters of a vessel, the second ``ratio`` times the first.

    Murray's law (C. D. Murray, PNAS 1926): the cube of the parent's radius is the sum of the daughters' cubes.

    Example:
        >>> larger, smaller = murray_radii(2.0, 0.5)
        >>> round(larger**3 + smaller**3, 6)
        8.0
    """
    larger = parent / (1.0 + ratio**3) ** (1.0 / 3.0)
    return larger, ratio * larger


def coronary_tree(rng: np.random.Generator) -> Tubes:
    """A left or a right coronary tree with its own tortuosity, taper and up to two stenoses."""
    courses = [left_course(rng) if rng.random() < 0.6 else right_course(rng)]
    tortuosity = rng.uniform(0.05, 0.9)
    vessels: list[Tubes] = []
    while courses:
        vessel, daughters = _grow(rng, courses.pop(), tortuosity)
        vessels.append(vessel)
        courses.extend(daughters)
    for _ in range(rng.integers(0, 3)):
        _narrow(rng, vessels)
    return Tubes(*(np.concatenate(field) for field in zip(*vessels, strict=True)))


def _surface_path(rng: np.random.Generator, course: Course, tortuosity: float) -> tuple[Floats, Floats, Floats]:
    """Polar angle, azimuth and heading (rad) along a course: a steady heading, smooth wandering and coils."""
    along = np.arange(0.0, course.length, STEP)
    fractions, degrees = zip(*course.headings, strict=True)
    heading = np.deg2rad(np.interp(along / course.length, fractions, degrees))
    heading = gaussian_filter1d(heading, 4.0 / STEP, mode="nearest")
    wander = gaussian_filter1d(rng.standard_normal(along.size + 1), 5.0 / STEP, mode="reflect")[:-1]
    coil = np.sin(2.0 * np.pi * along / rng.uniform(7.0, 16.0) + rng.uniform(0.0, 2.0 * np.pi))
    # coils grow along a vessel and are strongest in thin ones, as on real hearts
    looseness = tortuosity * np.clip(2.0 - course.radius, 0.3, 1.5) * np.clip(along / 25.0, 0.0, 1.0)
    heading = heading + 0.3 * wander / max(float(wander.std()), 0.2) * np.clip(along / 5.0, 0.0, 1.0) + looseness * coil
    polar = np.clip(course.polar + np.cumsum(np.cos(heading)) * STEP / HEART_RADII[2], 0.5, np.deg2rad(172.0))
    azimuth = course.azimuth + np.cumsum(np.sin(heading) * STEP / (HEART_RADII[0] * np.sin(polar)))
    return polar, azimuth, heading


def _grow(rng: np.random.Generator, course: Course, tortuosity: float) -> tuple[Tubes, list[Course]]:
    """One vessel from its start to its end, and the courses of the branches that leave it."""
    polar, azimuth, heading = _surface_path(rng, course, tortuosity)
    along = np.arange(polar.size) * STEP
    # between bifurcations a vessel thins a little, for the branches that are too small to be drawn
    radii = course.radius * np.exp(-rng.uniform(0.003, 0.007) * along)
    daughters = []
    branches = _free_branches(rng, course, heading) if course.branches is None else course.branches
    for branch in sorted(branches, key=lambda branch: branch.fraction):
        start = int(branch.fraction * polar.size)
        parent = float(radii[start])
        trunk, radius = murray_radii(parent, branch.ratio)
        if radius < SMALLEST_RADIUS:
            continue
        radii[start:] *= trunk / parent
        length = min(branch.reach * radius, 100.0) + 4.0
        place = (float(polar[start]), float(azimuth[start]), radius, length)
        daughters.append(Course(*place, branch.headings, course.distance + along[start], branch.branches))
    directions = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), -np.cos(polar)], axis=1)
    depth = 1.0 + 0.02 * gaussian_filter1d(rng.standard_normal(along.size), 6.0 / STEP) * np.sqrt(6.0 / STEP)
    points = (directions * HEART_RADII * depth[:, None]) @ HEART_AXES
    lengths = np.linalg.norm(np.diff(points, axis=0, append=points[-1:]), axis=1)
    kept = radii >= SMALLEST_RADIUS
    fields = (points, radii, lengths, course.distance + along, radii.copy())
    return Tubes(*(field[kept] for field in fields)), daughters


def _free_branches(rng: np.random.Generator, course: Course, heading: Floats) -> tuple[Branch, ...]:
    """Small branches of a vessel that has none prescribed: about one in 15 mm, to both sides."""
    fractions = rng.uniform(0.12, 0.9, rng.poisson(course.length / 15.0))
    sides = rng.choice([-1.0, 1.0], fractions.size) * rng.uniform(25.0, 60.0, fractions.size)
    turned = np.rad2deg(heading[(fractions * heading.size).astype(int)]) + sides
    pairs = zip(fractions.tolist(), turned.tolist(), strict=True)
    return tuple(side_branch(rng, fraction, direction, rng.uniform(0.35, 0.85)) for fraction, direction in pairs)


def _narrow(rng: np.random.Generator, vessels: list[Tubes]) -> None:
    """Put a stenosis of 40 to 80 percent into one of the wider vessels, in place."""
    wide = [vessel for vessel in vessels if vessel.radii.size * STEP > 20.0 and vessel.radii[0] > 0.7]
    vessel = wide[rng.integers(len(wide))]
    along = np.arange(vessel.radii.size) * STEP
    place = rng.uniform(6.0, along[-1] - 6.0)
    depth, width = rng.uniform(0.4, 0.8), rng.uniform(1.5, 4.0)
    vessel.radii[:] *= 1.0 - depth * np.exp(-(((along - place) / width) ** 2))
