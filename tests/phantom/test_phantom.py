"""Phantom angiograms: vessels and their shadows, and what makes a picture usable for training."""

from __future__ import annotations

import numpy as np
import pytest

from kdseg.phantom import make_phantom
from kdseg.phantom.angiogram import VISIBLE_RADIUS, acquire, visible_mask
from kdseg.phantom.vessels import SMALLEST_RADIUS, Tubes, View, coronary_tree, thickness

FRONTAL = View(0.0, 0.0, 128, 0.5)


def straight(start: tuple[float, float, float], end: tuple[float, float, float], radius: float) -> Tubes:
    points = np.linspace(start, end, 200)
    return Tubes(points, np.full(200, radius), np.arange(200.0))


def test_a_cylinder_projects_to_the_chords_of_a_circle() -> None:
    image = thickness(straight((0.0, 0.0, -20.0), (0.0, 0.0, 20.0), 6.0), FRONTAL)
    away = (np.arange(128) - 63.5) * 0.5
    inside = np.abs(away) < 4.0
    assert image[64][inside] == pytest.approx(2.0 * np.sqrt(36.0 - away[inside] ** 2), rel=0.05)
    assert (image[64][np.abs(away) > 6.3] == 0.0).all()


def test_the_views_are_named_as_in_dicom() -> None:
    left, back, head = np.eye(3) * 30.0
    column, row = FRONTAL.project(np.stack([left, back, head]))
    # the patient's left is on the right of the picture, the head is up
    assert column == pytest.approx([123.5, 63.5, 63.5]) and row == pytest.approx([63.5, 63.5, 3.5])
    # LAO 90: the detector is at the left, so the back is on the right; cranial 90: it looks down on the head
    assert View(90.0, 0.0, 128, 0.5).project(back[None])[0] == pytest.approx(123.5)
    assert View(0.0, 90.0, 128, 0.5).project(head[None])[1] == pytest.approx(63.5)


@pytest.mark.parametrize("seed", range(6))
def test_trees_are_plausible(seed: int) -> None:
    tree = coronary_tree(np.random.default_rng(seed))
    assert all(np.isfinite(field).all() for field in tree)
    assert tree.radii.min() >= SMALLEST_RADIUS and 1.1 < tree.radii.max() < 1.7
    assert tree.distances.min() == 0.0 and 80.0 < tree.distances.max() < 250.0
    jumps = np.linalg.norm(np.diff(tree.points, axis=0), axis=1) > 1.0
    starts = np.flatnonzero(jumps) + 1
    assert starts.size >= 3  # more than one vessel
    for start in starts:
        # every vessel starts on one that came earlier, and is thinner
        near = np.linalg.norm(tree.points[:start] - tree.points[start], axis=1)
        assert near.min() < 1.0


def test_vessels_that_nobody_sees_are_not_in_the_mask() -> None:
    thick = straight((-10.0, 0.0, -20.0), (-10.0, 0.0, 20.0), VISIBLE_RADIUS * 1.1)
    thin = straight((10.0, 0.0, -20.0), (10.0, 0.0, 20.0), VISIBLE_RADIUS * 0.9)
    view = View(0.0, 0.0, 256, 0.25)
    assert visible_mask(thick, view).any() and thickness(thin, view).any()
    assert not visible_mask(thin, view).any()


def test_the_mask_is_as_wide_as_the_vessel() -> None:
    mask = visible_mask(straight((0.0, 0.0, -20.0), (0.0, 0.0, 20.0), 3.0), View(0.0, 0.0, 256, 0.25))
    assert mask[128].sum() == 24  # 6 mm


def test_the_same_seed_gives_the_same_picture_and_another_another() -> None:
    first, second, other = (make_phantom(np.random.default_rng(seed), 64) for seed in (3, 3, 4))
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])
    assert not np.array_equal(first[0], other[0])


def test_every_mask_has_vessels_and_they_are_darker_than_their_surroundings() -> None:
    from scipy.ndimage import binary_dilation

    darker = []
    for seed in range(8):
        image, mask = make_phantom(np.random.default_rng(seed), 128)
        assert image.shape == mask.shape == (128, 128)
        assert image.dtype == mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 1}
        assert 0.01 < mask.mean() < 0.25
        around = binary_dilation(mask, iterations=4) & ~binary_dilation(mask)
        darker.append(float(image[around].mean()) - float(image[mask > 0].mean()))
    assert np.mean(darker) > 10.0


def test_no_global_threshold_finds_the_vessels() -> None:
    best = []
    for seed in range(8):
        image, mask = make_phantom(np.random.default_rng(100 + seed), 128)
        guesses = (image <= level for level in range(0, 256, 4))
        best.append(max(2.0 * (guess & (mask > 0)).sum() / (guess.sum() + mask.sum()) for guess in guesses))
    assert np.mean(best) < 0.5


def test_contrast_fills_a_cine_until_its_last_frame() -> None:
    rng = np.random.default_rng(5)
    cine = acquire(rng, coronary_tree(rng), 64, frames=6)
    assert cine.frames.shape == (6, 64, 64) and cine.frames.dtype == np.float32
    assert cine.frames.min() >= 0.0 and cine.frames.max() <= 1.0
    inside = np.array([frame[cine.mask].mean() - frame[~cine.mask].mean() for frame in cine.frames])
    assert inside.argmin() == 5
