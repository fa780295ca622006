"""MONAI reader of volumes: DICOM series and NIfTI files, alike."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import PathLike
from monai.data.image_reader import ImageReader
from monai.utils import MetaKeys, SpaceKeys, ensure_tuple

from kdseg.data.dicom.choice import choose_series
from kdseg.data.dicom.series import check_uneven
from kdseg.data.dicom.studies import dicom_series
from kdseg.data.files import NIFTI_SUFFIXES
from kdseg.errors import UserError, suggestion

__all__ = ["DicomSeriesReader", "read_nifti"]

SETTINGS = ("description", "modality", "plane", "part", "choose", "uneven")


class DicomSeriesReader(ImageReader):
    """Reads a volume for ``LoadImaged(keys="image", reader="kdseg.data.DicomSeriesReader")``.

    Given: a folder of DICOM files (and folders in it), one file of a series (the others are found beside it), a list
    of files, an enhanced multi-frame file, or a NIfTI file. The same volume gives the same values at the same place in
    the world from each of them.

    The array is float32 ``(W, H, D)`` in MONAI's order of axes; slices are sorted by their positions, values are after
    rescale. The meta data hold ``affine`` (4×4, index to mm, RAS, as NibabelReader gives it), ``original_affine``,
    ``spatial_shape``, ``original_channel_dim``, ``space``, ``file_format`` ("dicom" or "nifti") and
    of DICOM the pseudonyms ``series`` and ``frame_of_reference``: nothing from the header that could name a patient.

    Args:
        description, modality, plane, part, choose: which volume of a folder, see
            :func:`kdseg.data.dicom.choice.choose_series`.
        uneven: "refuse" or "resample" uneven spacing, missing slices and gantry tilt, see
            :meth:`kdseg.data.dicom.series.DicomSeries.read`.
        unknown: refused, with the near name; LoadImage itself would only warn of a mistyped setting.

    Raises:
        UserError: for an unknown setting; when the volume is missing, damaged, refused, not the only one, or has other
            than three axes or values that are no numbers.

    Example:
        >>> import tempfile, nibabel; from monai.transforms import LoadImage
        >>> path = Path(tempfile.mkdtemp()) / "ct.nii.gz"
        >>> nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), np.diag([-1, -1, 3, 1])), path)
        >>> image = LoadImage(reader="kdseg.data.DicomSeriesReader", ensure_channel_first=True)(path)
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
        super().__init__()
        for name in unknown:
            raise UserError(
                name,
                found="a setting that the reader does not have",
                expected=", ".join(SETTINGS),
                fix=suggestion(name, SETTINGS),
            )
        self.wanted = {
            "description": description,
            "modality": modality,
            "plane": plane,
            "part": part,
            "choose": choose,
        }
        check_uneven(uneven)
        self.uneven = uneven

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Any file or folder may be tried: DICOM files often have no suffix."""
        return all(Path(name).exists() for name in ensure_tuple(filename))

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> list[Path]:
        """Keep the paths; they are opened by :meth:`get_data`, whose errors reach the user.

        LoadImage answers a failing ``read`` by trying MONAI's other readers, and those take missing slices without a
        word.
        """
        return [Path(name) for name in ensure_tuple(data)]

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
        if not np.isfinite(array).all():
            raise UserError(
                img[0].name,
                found=f"values that are no numbers ({int((~np.isfinite(array)).sum())} voxels)",
                expected="a number in every voxel",
                fix="put a value of the background there, or leave the image out",
            )
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


def read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A NIfTI file as float32 ``(W, H, D[, C])`` and its affine, 4×4 in RAS axes.

    nibabel is used directly, because MONAI's NibabelReader copies the header's free text (``descrip``, ``db_name``)
    into the meta data, where a patient's name may be.

    Raises:
        UserError: when the file is missing, damaged, or has no two to four axes.
    """
    import nibabel

    if not path.is_file():
        raise UserError(path.name, found="no such file", expected="a NIfTI file", fix="check the path")
    try:
        # what is odd about a header goes to nibabel's log, beside the error that it raises
        nibabel.imageglobals.logger.setLevel(logging.CRITICAL + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = nibabel.load(path)
            array = np.asarray(image.dataobj, dtype=np.float32)  # type: ignore[attr-defined]
            affine = np.asarray(image.affine, dtype=np.float64)  # type: ignore[attr-defined]
    except Exception as error:
        # damaged content raises whatever nibabel happens to run into
        reason = str(error).replace(str(path), path.name).split("\n")[0][:200]
        raise UserError(
            path.name,
            found=f"content that cannot be decoded ({type(error).__name__}: {reason})",
            expected="a whole NIfTI file",
            fix="copy or export the file again; it may be truncated or damaged",
        ) from error
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if not 2 <= array.ndim <= 4 or 0 in array.shape or not np.isfinite(affine).all():
        raise UserError(
            path.name,
            found=f"an array of shape {'×'.join(map(str, array.shape))}",
            expected="a picture or volume, perhaps with channels on the fourth axis, and a finite affine",
            fix="save the volume as a 3-D NIfTI file",
        )
    return array, affine
