"""Volumes as arrays: DICOM series and NIfTI files, alike; without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kdseg.data.formats.dicom.choice import choose_series
from kdseg.data.formats.dicom.series import check_uneven
from kdseg.data.formats.dicom.studies import dicom_series
from kdseg.data.formats.nifti import read_nifti
from kdseg.data.open import NIFTI_SUFFIXES
from kdseg.errors import UserError

__all__ = ["VolumeFiles"]

# pixels: no network sees anything in less
LEAST_SIDE = 4


class VolumeFiles:
    """Reads volumes as :class:`kdseg.data.VolumeReader` does, which is this for MONAI.

    Args:
        description, modality, plane, part, choose, uneven: see there.

    Raises:
        UserError: see there.
    """

    def __init__(
        self,
        description: str | None = None,
        modality: str | None = None,
        plane: str | None = None,
        part: str | None = None,
        choose: str = "only",
        uneven: str = "refuse",
    ) -> None:
        self.wanted: dict[str, Any] = {
            "description": description,
            "modality": modality,
            "plane": plane,
            "part": part,
            "choose": choose,
        }
        check_uneven(uneven)
        self.uneven = uneven

    def get_data(self, img: Sequence[Path]) -> tuple[np.ndarray, dict[str, Any]]:
        """The array ``(W, H, D)`` and its meta data."""
        is_nifti = img[0].name.lower().endswith(NIFTI_SUFFIXES)
        if is_nifti and len(img) > 1:
            raise UserError(
                img[0].name, found=f"{len(img)} NIfTI files for one image", expected="one", fix="give one file"
            )
        array, affine, origin = (*read_nifti(img[0]), {}) if is_nifti else self._read_series(img)
        if array.ndim != 3:
            raise UserError(
                img[0].name,
                found=f"{array.ndim} axes ({'×'.join(map(str, array.shape))})",
                expected="a volume, of three axes",
                fix="save one volume a file: time points and contrasts are cases of their own",
            )
        if sum(size >= LEAST_SIDE for size in array.shape) < 2:
            raise UserError(
                img[0].name,
                found=f"a volume of {'×'.join(map(str, array.shape))} voxels",
                expected=f"slices of {LEAST_SIDE} or more pixels a side",
                fix="export the image again, or leave it out",
            )
        if not np.isfinite(array).all():
            raise UserError(
                img[0].name,
                found=f"values that are no numbers ({int((~np.isfinite(array)).sum())} voxels)",
                expected="a number in every voxel",
                fix="put a value of the background there, or leave the image out",
            )
        return array, {
            # MONAI's names
            "affine": affine.copy(),
            "original_affine": affine.copy(),
            "spatial_shape": np.asarray(array.shape),
            "original_channel_dim": float("nan"),
            "space": "RAS",
            "file_format": "nifti" if is_nifti else "dicom",
            **origin,
        }

    def _read_series(self, paths: Sequence[Path]) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
        volumes = dicom_series(paths[0] if len(paths) == 1 else paths)
        volume = choose_series(volumes, where=paths[0].name, **self.wanted)
        origin = {"series": volume.series, "frame_of_reference": volume.space}
        return volume.read(self.uneven), volume.affine, origin
