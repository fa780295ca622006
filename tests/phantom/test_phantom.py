"""Phantom angiograms: the physics, the anatomy, and what makes a picture usable for training."""

from __future__ import annotations

import numpy as np
import pytest

from kdseg.phantom import make_phantom
from kdseg.phantom.anatomy import clouds, smooth, tube_along
from kdseg.phantom.angiogram import VISIBLE_RADIUS, acquire
from kdseg.phantom.projection import CArm, heart_chords, thickness, visible_mask
from kdseg.phantom.vessels import HEART_RADII, coronary_tree, murray_radii

FRONTAL = CArm(0.0, 0.0, 128, 0.5)
SCALE = 1050.0 / 750.0 / 0.5  # pixels per mm in the middle of FRONTAL


def straight(start: tuple[float, float, float], end: tuple[float, float, float], radius: float):
    return tube_along(np.linspace(start, end, 4), radius, step=0.1)


def test_murrays_law_holds_at_a_bifurcation() -> None:
    larger, smaller = murray_radii(1.7, 0.6)
    assert larger**3 + smaller**3 == pytest.approx(1.7**3)
    assert smaller == pytest.approx(0.6 * larger)


def test_a_cylinder_projects_to_the_chords_of_a_circle() -> None:
    image = thickness(straight((0.0, 0.0, -20.0), (0.0, 0.0, 20.0), 3.0), FRONTAL)
    away = (np.arange(128) - 63.5) / SCALE
    inside = np.abs(away) < 2.6  # the outermost pixel of a disc is shared with what lies beside it
    assert image[64][inside] == pytest.approx(2.0 * np.sqrt(9.0 - away[inside] ** 2), rel=0.05)
    assert (image[64][np.abs(away) > 3.3] == 0.0).all()
    assert image[64].max() == pytest.approx(6.0, rel=0.03)


def test_crossing_vessels_add_up_and_foreshortening_darkens() -> None:
    upright = straight((0.0, 0.0, -20.0), (0.0, 0.0, 20.0), 2.0)
    across = straight((-20.0, 0.0, 0.0), (20.0, 0.0, 0.0), 2.0)
    both = type(upright)(*(np.concatenate(fields) for fields in zip(upright, across, strict=True)))
    assert thickness(both, FRONTAL)[64, 64] == pytest.approx(8.0, rel=0.05)
    slanted = straight((0.0, -20.0, -20.0), (0.0, 20.0, 20.0), 2.0)  # 45 degrees to the beam
    assert thickness(slanted, FRONTAL)[64, 64] == pytest.approx(4.0 * np.sqrt(2.0), rel=0.05)


def test_the_projection_keeps_the_volume_of_a_thin_vessel() -> None:
    tube = straight((-15.0, 0.0, 0.0), (15.0, 0.0, 0.0), 0.25)
    volume = thickness(tube, FRONTAL).sum() / SCALE**2
    assert volume == pytest.approx(np.pi * 0.25**2 * 30.0, rel=0.05)


def test_the_views_are_named_as_in_dicom() -> None:
    left, back, head = np.eye(3) * 30.0
    column, row, scale = FRONTAL.project(np.stack([left, back, head]))
    assert column[0] > 64.0 and row[2] < 64.0  # the patient's left is on the right of the picture, the head is up
    assert scale[1] > scale[0]  # the source is behind the patient: what is far from the detector is magnified
    assert CArm(90.0, 0.0, 128, 0.5).axes[2] == pytest.approx([1.0, 0.0, 0.0])  # LAO: the detector goes to the left
    assert CArm(0.0, 90.0, 128, 0.5).axes[2] == pytest.approx([0.0, 0.0, 1.0])  # cranial: to the head


def test_the_heart_is_an_ellipsoid() -> None:
    chords = heart_chords(CArm(0.0, 0.0, 256, 0.7))
    volume = chords.sum() * (0.7 * 750.0 / 1050.0) ** 2
    assert volume == pytest.approx(4.0 / 3.0 * np.pi * HEART_RADII.prod(), rel=0.02)


@pytest.mark.parametrize("seed", range(6))
def test_trees_are_plausible(seed: int) -> None:
    tree = coronary_tree(np.random.default_rng(seed))
    assert all(np.isfinite(field).all() for field in tree)
    assert 1.3 < tree.nominal_radii.max() < 2.6
    assert (tree.radii <= tree.nominal_radii + 1e-12).all()
    assert tree.distances.min() == 0.0 and 80.0 < tree.distances.max() < 400.0
    assert np.abs(tree.points).max() < 70.0  # mm: it fits into a chest


@pytest.mark.parametrize("seed", range(4))
def test_every_vessel_starts_on_another(seed: int) -> None:
    tree = coronary_tree(np.random.default_rng(seed))
    jumps = np.linalg.norm(np.diff(tree.points, axis=0), axis=1) > 1.0
    starts = np.flatnonzero(jumps) + 1
    assert starts.size >= 3  # more than one vessel
    for start in starts:
        # its parent came earlier: the tree grows from the ostium
        assert np.linalg.norm(tree.points[:start] - tree.points[start], axis=1).min() < 2.5


def test_vessels_that_nobody_sees_are_not_in_the_mask() -> None:
    thick = straight((-10.0, 0.0, -20.0), (-10.0, 0.0, 20.0), VISIBLE_RADIUS * 1.1)
    thin = straight((10.0, 0.0, -20.0), (10.0, 0.0, 20.0), VISIBLE_RADIUS * 0.9)
    arm = CArm(0.0, 0.0, 256, 0.25)
    assert visible_mask(thick, arm, VISIBLE_RADIUS).any()
    assert not visible_mask(thin, arm, VISIBLE_RADIUS).any()
    stenosis = thick._replace(radii=thick.radii * 0.3)
    assert visible_mask(stenosis, arm, VISIBLE_RADIUS)[110:150].any(axis=1).all()


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


def test_wide_blurs_are_those_of_a_gaussian() -> None:
    from scipy.ndimage import gaussian_filter

    image = clouds(np.random.default_rng(0), 96, 4.0)
    inner = (slice(24, 72),) * 2
    exact = gaussian_filter(image, 9.0, mode="nearest")
    assert np.abs(smooth(image, 9.0) - exact)[inner].max() < 0.1 * np.abs(exact).max()
