"""MONAI reader of volumes: DICOM series and NIfTI files, alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.utils import MetaKeys, SpaceKeys

from kdseg.data.formats.dicom.choice import choose_series
from kdseg.data.formats.dicom.series import check_uneven
from kdseg.data.formats.dicom.studies import dicom_series
from kdseg.data.formats.file_reader import FileReader
from kdseg.data.formats.nifti import read_nifti
from kdseg.data.open import NIFTI_SUFFIXES
from kdseg.errors import UserError

__all__ = ["VolumeReader"]

# pixels: no network sees anything in less
LEAST_SIDE = 4
SETTINGS = ("description", "modality", "plane", "part", "choose", "uneven")


class VolumeReader(FileReader):
    """Reads a volume for ``LoadImaged(keys="image", reader="kdseg.data.VolumeReader")``.

    Given: a folder of DICOM files (and folders in it), one file of a series (the others are found beside it), a list
    of files, an enhanced multi-frame file, or a NIfTI file. The same volume gives the same values at the same place in
    the world from each of them.

    The array is float32 ``(W, H, D)`` in MONAI's order of axes; slices are sorted by their positions, values are after
    rescale. The meta data hold ``affine`` (4×4, index to mm, RAS, as NibabelReader gives it), ``original_affine``,
    ``spatial_shape``, ``original_channel_dim``, ``space``, ``file_format`` ("dicom" or "nifti") and
    of DICOM the pseudonyms ``series`` and ``frame_of_reference``: nothing from the header that could name a patient.

    Args:
        description, modality, plane, part, choose: which volume of a folder, see
            :func:`kdseg.data.formats.dicom.choice.choose_series`.
        uneven: "refuse" or "resample" uneven spacing, missing slices and gantry tilt, see
            :meth:`kdseg.data.formats.dicom.series.DicomSeries.read`.
        unknown: refused, with the near name; LoadImage itself would only warn of a mistyped setting.

    Raises:
        UserError: for an unknown setting; when the volume is missing, damaged, refused, not the only one, or has other
            than three axes or values that are no numbers.

    Example:
        >>> import tempfile, nibabel; from monai.transforms import LoadImage
        >>> path = Path(tempfile.mkdtemp()) / "ct.nii.gz"
        >>> nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.diag([-1, -1, 3, 1])), path)
        >>> image = LoadImage(reader="kdseg.data.VolumeReader", ensure_channel_first=True)(path)
        >>> tuple(image.shape), image.pixdim.tolist()
        ((1, 4, 5, 6), [1.0, 1.0, 3.0])
    """

    def __init__(
        self,
        description: str | None = None,
        modality: str | None = None,
        plane: str | None = None,
        part: str | None = None,
        choose: str = "only",
        uneven: str = "refuse",
        **unknown: Any,
    ) -> None:
        super().__init__(unknown, SETTINGS)
        self.wanted = {"description": description, "modality": modality, "plane": plane, "part": part, "choose": choose}
        check_uneven(uneven)
        self.uneven = uneven

    def get_data(self, img: Sequence[Path]) -> tuple[np.ndarray, dict[str, Any]]:
        """The array ``(W, H, D)`` and its meta data."""
        is_nifti = img[0].name.lower().endswith(NIFTI_SUFFIXES)
        if is_nifti and len(img) > 1:
            found = f"{len(img)} NIfTI files for one image"
            raise UserError(img[0].name, found=found, expected="one", fix="give one file")
        array, affine, origin = (*read_nifti(img[0]), {}) if is_nifti else self._read_series(img)
        if array.ndim != 3:
            found = f"{array.ndim} axes ({'×'.join(map(str, array.shape))})"
            fix = "save one volume a file: time points and contrasts are cases of their own"
            raise UserError(img[0].name, found=found, expected="a volume, of three axes", fix=fix)
        if sum(size >= LEAST_SIDE for size in array.shape) < 2:
            found = f"a volume of {'×'.join(map(str, array.shape))} voxels"
            expected = f"slices of {LEAST_SIDE} or more pixels a side"
            raise UserError(img[0].name, found=found, expected=expected, fix="export the image again, or leave it out")
        if not np.isfinite(array).all():
            found = f"values that are no numbers ({int((~np.isfinite(array)).sum())} voxels)"
            fix = "put a value of the background there, or leave the image out"
            raise UserError(img[0].name, found=found, expected="a number in every voxel", fix=fix)
        return array, {
            MetaKeys.AFFINE.value: affine.copy(),
            MetaKeys.ORIGINAL_AFFINE.value: affine.copy(),
            MetaKeys.SPATIAL_SHAPE.value: np.asarray(array.shape),
            MetaKeys.ORIGINAL_CHANNEL_DIM.value: float("nan"),
            MetaKeys.SPACE.value: SpaceKeys.RAS.value,
            "file_format": "nifti" if is_nifti else "dicom",
            **origin,
        }

    def _read_series(self, paths: Sequence[Path]) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
        volumes = dicom_series(paths[0] if len(paths) == 1 else paths)
        volume = choose_series(volumes, where=paths[0].name, **self.wanted)  # type: ignore[arg-type]
        origin = {"series": volume.series, "frame_of_reference": volume.space}
        return volume.read(self.uneven), volume.affine, origin
