"""What lies around the vessels in a chest: lungs, heart, diaphragm, spine, ribs, catheter. As attenuation, ``HW``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, rotate, zoom

from kdseg.phantom.projection import CArm, heart_chords, thickness
from kdseg.phantom.vessels import Tubes

__all__ = ["catheter_path", "chest", "clouds", "smooth", "tube_along"]

Floats = NDArray[np.float64]


def smooth(image: Floats, sigma: float) -> Floats:
    """Gaussian blur that stays cheap for wide blurs: these are made on a coarser grid."""
    step = max(1, int(sigma // 3))
    if step == 1:
        return gaussian_filter(image, sigma, mode="nearest")
    height, width = image.shape
    padded = np.pad(image, ((0, -height % step), (0, -width % step)), mode="edge")
    coarse = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step).mean(axis=(1, 3))
    coarse = gaussian_filter(coarse, sigma / step, mode="nearest")
    return zoom(coarse, step, order=1, mode="nearest", grid_mode=True)[:height, :width]


def clouds(rng: np.random.Generator, size: int, finest: float) -> Floats:
    """Irregular shades ``HW`` of mean 0 and standard deviation 1, stronger the coarser, down to ``finest`` pixels."""
    shades = np.zeros((size, size))
    scale = size / 3.0
    while scale >= finest:
        # a coarse grid of random values, each spread over its neighbourhood by a Gaussian
        cells = int(np.ceil(size / scale)) + 6
        place = np.arange(size)[:, None] / scale + 2.0 - np.arange(cells)
        down, across = (np.exp(-(((place + shift) / 0.85) ** 2)) for shift in rng.uniform(0.0, 1.0, 2))
        shades += scale * (down @ rng.standard_normal((cells, cells)) @ across.T)
        scale /= 2.0
    shades -= shades.mean()
    return shades / shades.std()


def _grain(rng: np.random.Generator, size: int) -> Floats:
    """Fine marks of soft tissue, ``HW``, of one prevailing direction, mean 0 and standard deviation 1."""
    side, margin = size + 2 * (size // 4), size // 4  # nearly the diagonal, for the turn
    marks = gaussian_filter(rng.standard_normal((side, side)), (size / 220.0, size / 70.0), mode="wrap")
    turned = rotate(marks, rng.uniform(0.0, 180.0), reshape=False, order=1, mode="wrap")
    middle = turned[margin : margin + size, margin : margin + size]
    return (middle - middle.mean()) / middle.std()


def chest(rng: np.random.Generator, arm: CArm) -> Floats:
    """Attenuation of everything but vessels and catheter along each ray, ``HW``."""
    size = arm.size
    pixel = np.arange(size) / size - 0.5
    across, down = np.meshgrid(pixel, pixel)
    angle = rng.uniform(0.0, 2.0 * np.pi)
    body = 2.4 + rng.uniform(0.0, 0.5) * (across * np.cos(angle) + down * np.sin(angle))
    body += rng.uniform(0.03, 0.12) * clouds(rng, size, size / 24.0)
    body += rng.uniform(0.003, 0.013) * _grain(rng, size)
    # the heart stands out against the lungs; its wall moves while a frame is taken, so its edge is soft
    body += smooth(heart_chords(arm), size / rng.uniform(20.0, 70.0)) * rng.uniform(0.001, 0.008)
    if rng.random() < 0.65:
        body += _diaphragm(rng, across, down, size)
    body += _spine(rng, arm, across, down)
    if rng.random() < 0.7:
        body += _ribs(rng, across, down)
    body += _lung_vessels(rng, arm)
    return body


def _diaphragm(rng: np.random.Generator, across: Floats, down: Floats, size: int) -> Floats:
    """The dome of liver and diaphragm, denser below its edge."""
    top = rng.uniform(-0.05, 0.42) + rng.uniform(0.2, 1.3) * (across - rng.uniform(-0.6, 0.6)) ** 2
    below = (down - top) * size
    edge = 1.0 / (1.0 + np.exp(-np.clip(below / rng.uniform(0.8, 3.0), -30.0, 30.0)))
    return edge * (rng.uniform(0.12, 0.45) + np.clip(below / size, 0.0, 1.0) * rng.uniform(0.0, 0.8))


def _spine(rng: np.random.Generator, arm: CArm, across: Floats, down: Floats) -> Floats:
    """A band of vertebrae behind the heart, with paler discs between them."""
    column, _, scale = arm.project(np.array([[rng.uniform(-25.0, 5.0), 70.0, 0.0]]))
    tilt = rng.uniform(-0.12, 0.12)
    away = (across - (column[0] / arm.size - 0.5) - tilt * down) / (17.0 * scale[0] / arm.size)
    height = 26.0 * scale[0] / arm.size
    vertebrae = 0.75 + 0.25 * np.tanh(
        3.0 * np.cos(2.0 * np.pi * (down - tilt * across) / height + rng.uniform(0.0, 6.3))
    )
    return rng.uniform(0.1, 0.4) * vertebrae / (1.0 + np.exp(np.clip((np.abs(away) - 1.0) * 8.0, -30.0, 30.0)))


def _ribs(rng: np.random.Generator, across: Floats, down: Floats) -> Floats:
    """Soft, broad, curved bands, all of one slant, with denser borders."""
    turn = rng.uniform(-0.6, 0.6)
    along, over = across * np.cos(turn) - down * np.sin(turn), across * np.sin(turn) + down * np.cos(turn)
    slant, bend = rng.uniform(-0.6, 0.6), rng.uniform(-0.5, 0.5)
    width, gap = rng.uniform(0.035, 0.06), rng.uniform(0.2, 0.34)
    shift, strength = rng.uniform(0.0, gap), rng.uniform(0.015, 0.08)
    offset = over - slant * along - bend * along**2 - shift
    away = np.abs((offset + gap / 2.0) % gap - gap / 2.0) / width
    plate = 1.0 / (1.0 + np.exp(np.clip((away - 1.0) * 14.0, -30.0, 30.0)))
    # cortical bone is thickest where the ray grazes the border; a rib fades out at one side of the picture
    fade = np.clip(0.5 + 1.6 * along * rng.choice([-1.0, 1.0]), 0.0, 1.0)
    return strength * fade * plate * (0.6 + 0.6 * np.clip(away, 0.0, 1.0) ** 4)


def _lung_vessels(rng: np.random.Generator, arm: CArm) -> Floats:
    """Faint blurred strands that look a little like coronary vessels and are none."""
    shades = np.zeros((arm.size, arm.size))
    for _ in range(rng.integers(2, 9)):
        ends = rng.uniform(-60.0, 60.0, (4, 3))
        tube = tube_along(ends, rng.uniform(0.6, 2.5))
        shades += thickness(tube, arm) * rng.uniform(0.002, 0.009)
    return gaussian_filter(shades, arm.size / rng.uniform(100.0, 250.0))


def tube_along(controls: Floats, radius: float, step: float = 0.4) -> Tubes:
    """A tube of constant radius along the Bézier curve of four control points, ``43`` in mm."""
    length = float(np.linalg.norm(np.diff(controls, axis=0), axis=1).sum())
    t = np.linspace(0.0, 1.0, max(8, int(length / step)))[:, None]
    basis = np.concatenate([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3], axis=1)
    points = basis @ controls
    lengths = np.linalg.norm(np.diff(points, axis=0, append=points[-1:]), axis=1)
    radii = np.full(len(points), radius)
    return Tubes(points, radii, lengths, np.cumsum(lengths), radii)


def catheter_path(rng: np.random.Generator, ostium: Floats, direction: Floats) -> Floats:
    """Control points ``43`` of a catheter that hooks into the ostium and comes down the aorta from beyond the picture.

    Args:
        ostium: where the tree starts, mm.
        direction: the way the tree leaves it, a unit vector.
    """
    away = ostium - direction * rng.uniform(15.0, 35.0) + np.array([0.0, 0.0, rng.uniform(-12.0, 5.0)])
    wall = ostium + np.array([rng.uniform(-40.0, -5.0), rng.uniform(0.0, 25.0), rng.uniform(25.0, 55.0)])
    arch = ostium + np.array([rng.uniform(-20.0, 30.0), rng.uniform(10.0, 40.0), rng.uniform(130.0, 180.0)])
    return np.stack([ostium, away, wall, arch])
