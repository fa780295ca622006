"""The values of a stack of frames, and their resampling to an even, straight grid."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kdseg.data.dicom.decoders import decoder_of
from kdseg.data.dicom.frames import Frame
from kdseg.data.dicom.geometry import Geometry, canvas, sideways_shifts
from kdseg.data.dicom.headers import frame_elements
from kdseg.errors import UserError

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["read_values", "resample"]

# their values are physical units, which a display in reverse does not change
MEASURED = ("CT", "PT")


def read_values(frames: Sequence[Frame]) -> np.ndarray:
    """The frames as float32 ``(W, H, D)``, after each one's own rescale slope and intercept or modality LUT.

    MONOCHROME1, where small values are white, is inverted within the stored depth, so that it looks like other
    pictures; except for CT and PET, whose values are units.

    Raises:
        UserError: when pixels are missing, truncated or cannot be decoded.
    """
    # in the files' order, and turned at the end: a view, where writing slice after slice across memory is slow
    volume = np.empty((len(frames), *frames[0].shape[::-1]), dtype=np.float32)
    opened: dict[Path, Dataset] = {}
    for place, frame in enumerate(frames):
        try:
            with warnings.catch_warnings():
                # pydicom's warnings quote header values, and those may name a patient
                warnings.simplefilter("ignore")
                if frame.path not in opened:
                    # of classic files only one is needed at a time
                    opened = {frame.path: _open(frame.path)}
                values = _values(opened[frame.path], frame.index)
        except Exception as error:
            # damaged content raises whatever the decoder happens to run into
            reason = str(error).replace(str(frame.path), frame.path.name).split("\n")[0][:200]
            raise UserError(
                frame.path.name,
                found=f"pixels that cannot be decoded ({type(error).__name__}: {reason})",
                expected="a whole picture",
                fix="copy or export the file again; it may be truncated or damaged",
            ) from error
        volume[place] = values
    return volume.T


def _open(path: Path) -> Dataset:
    import pydicom

    return pydicom.dcmread(path)


def _values(dataset: Dataset, index: int) -> np.ndarray:
    from pydicom.pixels import apply_modality_lut, pixel_array

    values = pixel_array(dataset, index=index, decoding_plugin=decoder_of(dataset))
    if dataset.PhotometricInterpretation == "MONOCHROME1" and dataset.Modality not in MEASURED:
        low = -(2 ** (dataset.BitsStored - 1)) if dataset.PixelRepresentation else 0
        values = 2 * low + 2**dataset.BitsStored - 1 - values.astype(np.int64)
    if "ModalityLUTSequence" in dataset:
        return apply_modality_lut(values, dataset)
    elements = frame_elements(dataset, index)
    # some writers leave the elements there without a value
    slope, intercept = elements.get("RescaleSlope"), elements.get("RescaleIntercept")
    slope, intercept = 1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept)
    return values if (slope, intercept) == (1.0, 0.0) else values * slope + intercept


def resample(volume: np.ndarray, frames: Sequence[Frame], geometry: Geometry) -> np.ndarray:
    """The volume on the even, straight grid of ``geometry``, by linear interpolation.

    Slices are shifted back within their planes, then interpolated between their neighbours along the normal. What no
    slice covers takes the least value of the volume, which in CT is air.

    Args:
        volume: values ``(W, H, D)`` of ``frames``.
        frames: sorted, as :func:`kdseg.data.dicom.geometry.measure` has measured them.
        geometry: the measure of them.
    """
    from scipy import ndimage

    shifts = sideways_shifts(frames)
    low, _ = canvas(shifts)
    least = float(volume.min())
    straight = np.full((*geometry.shape[:2], len(frames)), least, dtype=np.float32)
    for place, shift in enumerate(shifts):
        # output pixel p is the slice's pixel p + low - shift
        straight[..., place] = ndimage.affine_transform(
            volume[..., place], np.ones(2), low - shift, geometry.shape[:2], order=1, cval=least
        )
    depths = np.array([frame.depth for frame in frames])
    wanted = depths[0] + geometry.spacing[2] * np.arange(geometry.shape[2])
    # the last of the grid may lie behind the last slice by the tolerance
    upper = np.clip(np.searchsorted(depths, wanted), 1, len(depths) - 1)
    part = np.clip((wanted - depths[upper - 1]) / (depths[upper] - depths[upper - 1]), 0, 1).astype(np.float32)
    return straight[..., upper - 1] * (1 - part) + straight[..., upper] * part
