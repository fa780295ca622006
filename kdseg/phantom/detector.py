"""From attenuation to grey values: Beer–Lambert, scatter, quantum noise, detector blur, collimator and display."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from kdseg.phantom.anatomy import smooth

__all__ = ["Detector", "collimator", "draw_detector"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Detector:
    """The properties of one acquisition that do not change from frame to frame.

    Args:
        photons: that reach an element of average exposure.
        blur: of the focal spot and the moving heart, before the detector (standard deviation, pixels).
        spread: of light in the detector, which also correlates the noise (standard deviation, pixels).
        scatter: scattered over primary radiation.
        curve: how grey values follow exposure: its logarithm, or a power of it.
        exponent: of the power curve.
        harmonise: share of the wide shades that the machine's display takes out, 0 to 1.
        sharpen: gain of the machine's edge enhancement.
        margins: shares of the grey scale left free at the dark and at the bright end.
    """

    photons: float
    blur: float
    spread: float
    scatter: float
    curve: Literal["log", "power"]
    exponent: float
    harmonise: float
    sharpen: float
    margins: tuple[float, float]

    def expose(self, rng: np.random.Generator, attenuation: Floats, aperture: Floats) -> Floats:
        """Exposure of each element, ``HW``, 1 on average: ``I = I₀·exp(-∫µ)`` plus scatter, with quantum noise."""
        size = attenuation.shape[0]
        primary = np.exp(-gaussian_filter(attenuation, self.blur)) * (0.02 + 0.98 * aperture)
        # automatic exposure control: the middle of the field gets the wanted dose
        primary /= np.average(primary, weights=aperture + 1e-6)
        exposure = (primary + self.scatter * smooth(primary, size / 7.0)) / (1.0 + self.scatter)
        counts = rng.poisson(exposure * self.photons) / self.photons
        return gaussian_filter(counts, self.spread)

    def display(self, exposures: Sequence[Floats], aperture: Floats) -> Floats:
        """Grey values ``FHW`` between 0 (black) and 1, as the machine shows them: one window for all frames."""
        greys = np.stack([self._grey(exposure, aperture) for exposure in exposures])
        low, high = np.quantile(greys[:, aperture > 0.5], [0.002, 0.995])
        dark, bright = self.margins
        return np.clip(dark + (greys - low) / (high - low) * (1.0 - dark - bright), dark / 4.0, 1.0)

    def _grey(self, exposure: Floats, aperture: Floats) -> Floats:
        """One exposure after the detector's curve and the machine's picture processing, ``HW``, any range."""
        safe = np.maximum(exposure, 2e-3)
        grey: Floats = np.log(safe) if self.curve == "log" else safe**self.exponent
        open_field = aperture > 0.5
        width = grey.shape[0] / 14.0
        share = np.maximum(smooth(open_field.astype(np.float64), width), 0.05)
        shades: Floats = smooth(grey * open_field, width) / share
        grey = grey - np.where(open_field, self.harmonise * (shades - np.mean(shades[open_field])), 0.0)
        return grey + self.sharpen * (grey - gaussian_filter(grey, 2.0))


def draw_detector(rng: np.random.Generator) -> Detector:
    """A detector of any age: image intensifier or flat panel, low or high dose, plain or worked-over display."""
    return Detector(
        photons=float(np.exp(rng.uniform(np.log(3000.0), np.log(30000.0)))),
        blur=rng.uniform(0.3, 0.8),
        spread=rng.uniform(0.4, 0.8),
        scatter=rng.uniform(0.2, 1.0),
        curve="log" if rng.random() < 0.5 else "power",
        exponent=rng.uniform(0.5, 1.0),
        # some machines show nearly flat pictures, as after a subtraction
        harmonise=rng.uniform(0.7, 0.95) if rng.random() < 0.3 else rng.uniform(0.0, 0.4),
        sharpen=rng.uniform(0.0, 0.5),
        margins=(rng.uniform(0.08, 0.35), rng.uniform(0.0, 0.25)),
    )


def collimator(rng: np.random.Generator, size: int) -> Floats:
    """Share of the beam ``HW`` that is let through: by a round intensifier, shutters or an open field."""
    pixel = np.arange(size) / size - 0.5
    across, down = np.meshgrid(pixel, pixel)
    kind = rng.choice(["round", "shutters", "open"], p=[0.4, 0.25, 0.35])
    aperture = np.ones((size, size))
    if kind == "round":
        away = np.hypot(across - rng.uniform(-0.18, 0.18), down - rng.uniform(-0.12, 0.12))
        aperture = np.clip((rng.uniform(0.6, 0.76) - away) * size / 1.5, 0.0, 1.0)
    elif kind == "shutters":
        softness = rng.uniform(1.0, 3.0)
        for edge in (across + 0.5, 0.5 - across, down + 0.5, 0.5 - down):
            if rng.random() < 0.6:
                aperture *= np.clip((edge - rng.uniform(0.01, 0.06)) * size / softness, 0.0, 1.0)
    return aperture * (1.0 - rng.uniform(0.0, 0.5) * (across**2 + down**2))
