"""Masks as PNG and NIfTI."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from kdseg.masks.mark import MARK, words_of
from kdseg.masks.mask import Mask

__all__ = ["write_nifti", "write_png"]


def write_png(mask: Mask, path: Path) -> list[str]:
    """One frame as a grey picture: 0 and 255 of one class, the class numbers of several."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text(MARK, words_of(mask))
    # MONAI's axes are (W, H), a picture's array is (H, W)
    values = mask.values[0] * (255 if len(mask.labels) == 2 else 1)
    Image.fromarray(values.astype(np.uint8).T).save(path, pnginfo=text)
    return []


def write_nifti(mask: Mask, path: Path) -> list[str]:
    """Class numbers, uint8, with the image's affine; frames of a cine are a series in time, ``(W, H, 1, F)``."""
    import nibabel

    spatial = mask.values[0] if len(mask.values) == 1 else mask.values.transpose(1, 2, 0)[:, :, None]
    image = nibabel.Nifti1Image(np.ascontiguousarray(spatial), mask.affine)
    comment = nibabel.nifti1.Nifti1Extension("comment", json.dumps({MARK: words_of(mask)}).encode())
    image.header.extensions.append(comment)
    nibabel.save(image, path)
    return []
