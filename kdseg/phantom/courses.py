"""How coronary arteries usually run: where each starts, how wide and long it is, and where it gives off branches.

The measures are a reconstruction from usual anatomy, fitted to no patient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Branch", "Course", "left_course", "right_course", "side_branch"]

Floats = NDArray[np.float64]
Headings = tuple[tuple[float, float], ...]  # (fraction of the length, degrees); 0 runs to the apex, 90 to the left


@dataclass(frozen=True)
class Branch:
    """How a vessel leaves another: where, how wide against what goes on, which way; mm of length per mm of radius."""

    fraction: float
    ratio: float
    headings: Headings
    reach: float
    branches: tuple[Branch, ...] | None = None  # None: as many as its length asks for


@dataclass(frozen=True)
class Course:
    """Where a vessel starts on the heart (rad), how wide it is there and how long (mm), and how it runs."""

    polar: float
    azimuth: float
    radius: float
    length: float
    headings: Headings
    distance: float = 0.0
    branches: tuple[Branch, ...] | None = None


def side_branch(rng: np.random.Generator, fraction: float, direction: float, ratio: float) -> Branch:
    """A branch that leaves in a direction and bends towards the apex."""
    end = direction * rng.uniform(0.0, 0.7)
    return Branch(fraction, ratio, ((0.0, direction), (0.4, end), (1.0, end)), rng.uniform(28.0, 60.0))


def side_branches(
    rng: np.random.Generator,
    fractions: Floats,
    directions: tuple[float, float],
    ratios: tuple[float, float],
) -> tuple[Branch, ...]:
    """Branches at the given fractions of a vessel, with directions and radius ratios drawn from a range."""
    return tuple(side_branch(rng, f, rng.uniform(*directions), rng.uniform(*ratios)) for f in fractions.tolist())


def left_course(rng: np.random.Generator) -> Course:
    """Left main stem going on as anterior descending with diagonals and septals; circumflex with marginals."""
    stem, anterior = rng.uniform(8.0, 15.0), rng.uniform(95.0, 130.0)
    fork = stem / (stem + anterior)
    marginals = side_branches(rng, rng.uniform(0.15, 0.8, rng.integers(1, 4)), (0.0, 40.0), (0.5, 0.95))
    turn, end = rng.uniform(40.0, 90.0), rng.uniform(0.0, 80.0)
    groove = ((0.0, 70.0), (0.3, 85.0), (0.8, turn), (1.0, end))
    circumflex = Branch(fork, rng.uniform(0.7, 1.0), groove, rng.uniform(35.0, 60.0), marginals)
    diagonals, septals = (rng.uniform(fork + 0.06, last, rng.integers(1, 5)) for last in (0.6, 0.8))
    return Course(
        0.9,
        np.deg2rad(-8.0),
        rng.uniform(1.7, 2.3),
        stem + anterior,
        ((0.0, 35.0), (fork, 40.0), (fork + 0.05, 20.0), (fork + 0.2, -10.0), (1.0, rng.uniform(-10.0, 10.0))),
        branches=(
            circumflex,
            *side_branches(rng, diagonals, (30.0, 60.0), (0.45, 0.8)),
            *side_branches(rng, septals, (-70.0, -30.0), (0.25, 0.4)),
        ),
    )


def right_course(rng: np.random.Generator) -> Course:
    """Right coronary artery: round the right side in the groove, then down the back to the apex."""
    crux = rng.uniform(0.55, 0.7)
    end = rng.uniform(-20.0, 20.0)
    return Course(
        0.85,
        np.deg2rad(-40.0),
        rng.uniform(1.4, 2.1),
        rng.uniform(135.0, 175.0),
        ((0.0, -30.0), (0.12, -75.0), (crux - 0.08, -92.0), (crux + 0.04, -30.0), (1.0, end)),
        branches=(
            *side_branches(rng, np.array([0.05]), (-30.0, 10.0), (0.3, 0.45)),  # conus branch
            *side_branches(rng, np.array([0.1]), (-160.0, -120.0), (0.3, 0.4)),  # to the sinus node
            *side_branches(rng, rng.uniform(0.2, 0.5, rng.integers(1, 4)), (-50.0, 0.0), (0.3, 0.6)),  # marginals
            *side_branches(rng, np.array([crux]), (-95.0, -95.0), (0.5, 0.95)),  # posterolateral, on in the groove
        ),
    )
