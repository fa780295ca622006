"""MONAI reader of volumes: DICOM series and NIfTI files, alike."""

from __future__ import annotations

from typing import Any

from kdseg.data.formats.file_reader import FileReader
from kdseg.data.volumes.volume_files import VolumeFiles

__all__ = ["VolumeReader"]

SETTINGS = ("description", "modality", "plane", "part", "choose", "uneven")


class VolumeReader(VolumeFiles, FileReader):
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
        settings: another one is refused, with the near name; LoadImage itself would only warn of it.

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

    def __init__(self, **settings: Any) -> None:
        FileReader.__init__(self, settings, SETTINGS)
        VolumeFiles.__init__(self, **settings)
