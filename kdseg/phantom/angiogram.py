"""One phantom angiogram: a heart's vessels before a chest, seen by a detector while contrast flows in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from kdseg.phantom.vessels import STEP, Tubes, View, coronary_tree, thickness

__all__ = ["VISIBLE_RADIUS", "Angiogram", "acquire", "make_phantom", "visible_mask"]

Floats = NDArray[np.float64]

VISIBLE_RADIUS = 0.45  # mm; a reader marks vessels of a millimetre and leaves the finer ones


@dataclass(frozen=True)
class Angiogram:
    """What one acquisition gives."""

    frames: NDArray[np.float32]  # grey values, FHW, 0 (black) to 1; the last frame has the most contrast
    mask: NDArray[np.bool_]  # vessel pixels of the last frame, HW
    view: View  # angles and pixel spacing of the acquisition


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
    """Take a picture or a cine of a heart, with an angle, a dose and a display of its own.

    Args:
        rng: where all chance comes from.
        tree: the patient's vessels.
        size: rows and columns of the detector.
        frames: of the cine; contrast fills the tree until the last one.
    """
    view = _aim(rng, tree, size)
    aperture = _aperture(rng, size)
    still = _chest(rng, view) + _catheter(rng, tree, view)
    absorption, photons = rng.uniform(0.025, 0.075), np.exp(rng.uniform(np.log(4e3), np.log(3e4)))
    flattened, sharpness = rng.uniform(0.0, 0.8), rng.uniform(0.5, 0.9)
    greys = []
    for share in np.arange(1, frames + 1) / frames:
        # the front of the contrast reaches the last vessel with the last frame, and grows denser until then
        front = share * (tree.distances.max() + 20.0)
        filling = share / (1.0 + np.exp(np.clip((tree.distances - front) / 6.0, -30.0, 30.0)))
        beat = 1.0 + 0.012 * np.sin(2.0 * np.pi * frames * (share - 1.0) / 6.0)
        contrast = thickness(tree._replace(points=tree.points * beat), view, filling)
        beam = np.exp(-gaussian_filter(still + absorption * contrast, sharpness)) * (0.03 + 0.97 * aperture)
        beam /= np.average(beam, weights=aperture)
        grey = np.log(np.maximum(gaussian_filter(rng.poisson(beam * photons) / photons, 0.6), 2e-3))
        shades = gaussian_filter(grey * aperture, size / 14.0) / gaussian_filter(aperture + 1e-3, size / 14.0)
        greys.append(grey - flattened * shades * aperture)
    low, high = np.quantile(np.stack(greys)[:, aperture > 0.5], [0.002, 0.995])
    dark, bright = rng.uniform(0.08, 0.3), rng.uniform(0.0, 0.2)
    shown = np.clip(dark + (np.stack(greys) - low) / (high - low) * (1.0 - dark - bright), dark / 4.0, 1.0)
    return Angiogram(shown.astype(np.float32), visible_mask(tree, view) & (aperture > 0.5), view)


def visible_mask(tree: Tubes, view: View) -> NDArray[np.bool_]:
    """Pixels ``HW`` whose centre lies in a vessel that a reader would mark: wide, and not below 0.6 pixel of radius."""
    wide = tree.radii >= max(VISIBLE_RADIUS, 0.6 * view.spacing)
    points, radii, distances = (field[wide] for field in tree)
    # thickness reaches half a pixel further than the vessel
    return thickness(Tubes(points, radii - 0.5 * view.spacing, distances), view) > 0.0


def _aim(rng: np.random.Generator, tree: Tubes, size: int) -> View:
    """A view at a usual angle that is filled by the tree."""
    angles = rng.uniform(-45.0, 50.0), rng.uniform(-30.0, 35.0)
    column, row = View(*angles, 1, 1.0).project(tree.points[tree.radii >= VISIBLE_RADIUS])
    ends = np.array([[column.min(), row.min()], [column.max(), row.max()]])
    field = np.ptp(ends, axis=0).max() * rng.uniform(0.9, 1.25)
    centre = ends.mean(axis=0) + rng.uniform(-0.08, 0.08, 2) * field
    return View(*angles, size, round(float(field) / size, 4), (float(centre[0]), float(centre[1])))


def _clouds(rng: np.random.Generator, size: int, finest: float) -> Floats:
    """Irregular shades ``HW`` of mean 0 and standard deviation 1, stronger the coarser, down to ``finest`` pixels."""
    scales = size / 6.0 / 2.0 ** np.arange(np.log2(size / 6.0 / finest))
    layers = [gaussian_filter(rng.standard_normal((size, size)), scale, mode="wrap") * scale**2 for scale in scales]
    shades = np.sum(layers, axis=0)
    return (shades - shades.mean()) / shades.std()


def _chest(rng: np.random.Generator, view: View) -> Floats:
    """Attenuation ``HW`` of soft tissue, sometimes the diaphragm, ribs, and strands that look a little like vessels."""
    size = view.size
    across, down = np.meshgrid(*[np.arange(size) / size - 0.5] * 2)
    body = rng.uniform(0.06, 0.16) * _clouds(rng, size, 6.0) + rng.uniform(0.004, 0.014) * _clouds(rng, size, 1.5)
    if rng.random() < 0.65:
        top = rng.uniform(-0.05, 0.42) + rng.uniform(0.2, 1.3) * (across - rng.uniform(-0.6, 0.6)) ** 2
        body += rng.uniform(0.15, 0.5) / (1.0 + np.exp(np.clip((top - down) * size / rng.uniform(1.0, 3.0), -30, 30)))
    if rng.random() < 0.7:
        slant, gap = rng.uniform(-0.6, 0.6), rng.uniform(0.2, 0.34)
        body += rng.uniform(0.01, 0.06) * np.tanh(4.0 * np.cos(2.0 * np.pi * (down - slant * across) / gap))
    strands = sum(
        thickness(_curve(rng.uniform(-60.0, 60.0, (4, 3)), rng.uniform(0.6, 2.5)), view) * rng.uniform(0.004, 0.02)
        for _ in range(rng.integers(2, 8))
    )
    return body + gaussian_filter(strands, size / rng.uniform(100.0, 250.0))


def _catheter(rng: np.random.Generator, tree: Tubes, view: View) -> Floats:
    """Attenuation ``HW`` of the catheter that comes down the aorta and hooks into the ostium."""
    ostium = tree.points[0]
    bends = rng.uniform([[-20, 5, 0], [-40, 0, 25], [-20, 10, 130]], [[10, 25, 10], [0, 25, 55], [30, 40, 180]])
    path, radius = np.concatenate([ostium[None], ostium + bends]), rng.uniform(0.8, 1.15)
    return rng.uniform(0.03, 0.12) * thickness(_curve(path, radius), view)


def _curve(controls: Floats, radius: float) -> Tubes:
    """A tube of constant radius along the Bézier curve of four control points, ``43`` in mm."""
    length = np.linalg.norm(np.diff(controls, axis=0), axis=1).sum()
    t = np.linspace(0.0, 1.0, int(length / STEP))[:, None]
    basis = np.concatenate([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3], axis=1)
    return Tubes(basis @ controls, np.full(t.size, radius), length * t[:, 0])


def _aperture(rng: np.random.Generator, size: int) -> Floats:
    """Share of the beam ``HW`` that is let through: by a round intensifier, or all of it."""
    across, down = np.meshgrid(*[np.arange(size) / size - 0.5] * 2)
    away = np.hypot(across - rng.uniform(-0.15, 0.15), down - rng.uniform(-0.1, 0.1))
    edge = rng.uniform(0.6, 0.76) if rng.random() < 0.5 else 2.0
    return np.clip((edge - away) * size / 1.5, 0.0, 1.0) * (1.0 - rng.uniform(0.0, 0.5) * (across**2 + down**2))
