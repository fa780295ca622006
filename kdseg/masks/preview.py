"""A picture of a mask beside it, for a quick look: frames of a cine, or three planes of a volume."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kdseg.data.formats.nifti import read_nifti
from kdseg.data.frames.open_frames import open_frames
from kdseg.data.open import NIFTI_SUFFIXES
from kdseg.masks.formats.dicom_head import source_series
from kdseg.masks.mark import MARK, words_of
from kdseg.masks.mask import Mask
from kdseg.pictures.overlay import grey_values
from kdseg.pictures.preview import Panel, preview_picture

__all__ = ["write_preview"]

MOST_FRAMES = 6


def write_preview(mask: Mask, path: Path) -> Path:
    """Write a PNG with the areas of the classes on the image, which is read again.

    Of a cine up to six frames, evenly spread over those in which something was found; of a volume the axial, coronal
    and sagittal plane with the most of all classes, as radiologists look at them: the patient's right on the left.
    """
    panels = _planes(mask) if mask.is_volume else _frames(mask)
    amounts = mask.millilitres()
    legend = [f"{name} {amounts[name]:g} ml" if name in amounts else name for name in mask.classes.values()]
    return preview_picture(panels, legend, path, {MARK: words_of(mask)})


def _frames(mask: Mask) -> list[Panel]:
    source = open_frames(mask.source)
    shown = [index for index, values in enumerate(mask.values) if values.any()] or [0]
    chosen = [shown[place] for place in np.unique(np.linspace(0, len(shown) - 1, MOST_FRAMES).round().astype(int))]
    panels = []
    for index in chosen:
        number = index if mask.frame < 0 else mask.frame
        title = f"frame {number}" if source.count > 1 else ""
        grey = np.rint(source.grey(number).T * 255).astype(np.uint8)
        panels.append(Panel(grey, mask.values[index].T, (1.0, 1.0), title))
    return panels


def _planes(mask: Mask) -> list[Panel]:
    from nibabel.orientations import apply_orientation, io_orientation

    if mask.source.name.lower().endswith(NIFTI_SUFFIXES):
        image = read_nifti(mask.source)[0]
    else:
        image = source_series(mask).read("resample")
    # to the right, to the front, up: views, nothing is copied
    turn = io_orientation(mask.affine)
    image, values = apply_orientation(image, turn), apply_orientation(mask.values[0], turn)
    spacing = np.linalg.norm(mask.affine[:3, :3], axis=0)[np.argsort(turn[:, 0])]
    panels = []
    for axis, title in ((2, "axial"), (1, "coronal"), (0, "sagittal")):
        others = tuple(other for other in range(3) if other != axis)
        sums = np.count_nonzero(values, axis=others)
        place = int(sums.argmax()) if sums.any() else values.shape[axis] // 2
        # rows run down from the front or the top, columns from the patient's right or front
        grey, areas = (np.take(array, place, axis)[::-1, ::-1].T for array in (image, values))
        panels.append(Panel(grey_values(grey), areas, (float(spacing[others[1]]), float(spacing[others[0]])), title))
    return panels
