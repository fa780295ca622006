"""Pixels of DICOM frames: decoded, through the look-up tables, one frame or a stack; a stack resampled to a grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kdseg.data.formats.dicom.decoders import decoder_of
from kdseg.data.formats.dicom.geometry import Geometry, canvas, sideways_shifts
from kdseg.data.formats.dicom.headers import check_claims, frame_elements
from kdseg.data.formats.dicom.slice_headers import GREY, Frame
from kdseg.data.open import decoding

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["frame_values", "read_values", "resample", "value_limits"]

# their values are physical units, which a display in reverse does not change
MEASURED = ("CT", "PT")
RESCALE = {"RescaleSlope": 1, "RescaleIntercept": 0}
WINDOW = ("WindowCenter", "WindowWidth", "VOILUTFunction")
TABLES = ("ModalityLUTSequence", "VOILUTSequence")


def frame_values(dataset: Dataset, index: int, display: bool = False) -> np.ndarray:
    """Frame ``index`` of a file ``(rows, columns)``, or with colours ``(rows, columns, 3)``, in DICOM's order.

    Grey values go through the frame's rescale slope and intercept, or the modality LUT. MONOCHROME1, where small values
    are white, is inverted, so that it looks like other pictures; except for CT and PET, whose values are units.

    Args:
        dataset: the whole file.
        index: from 0.
        display: through the first VOI LUT or window as well; of an enhanced file that of the first frame, so that
            frames stay comparable.
    """
    from pydicom.pixels import apply_modality_lut, apply_voi_lut, pixel_array

    values = pixel_array(dataset, index=index, decoding_plugin=decoder_of(dataset))
    if dataset.PhotometricInterpretation not in GREY:
        return values
    tables = _tables(dataset, 0 if display else index)
    values = apply_modality_lut(values, tables)
    if display:
        values = apply_voi_lut(values, tables)
    if dataset.PhotometricInterpretation == "MONOCHROME1" and dataset.get("Modality") not in MEASURED:
        # float first: low + high does not fit into the stored type
        values = sum(value_limits(dataset, display)) - values.astype(np.float64)
    return values


def value_limits(dataset: Dataset, display: bool = True) -> tuple[float, float]:
    """The values of black and white after the look-up tables, as pydicom's windowing defines them."""
    tables = _tables(dataset, 0)
    for sequence in TABLES[::-1] if display else TABLES[:1]:
        if tables.get(sequence):
            return 0.0, 2.0 ** int(tables[sequence][0].LUTDescriptor[2]) - 1
    bits = int(dataset.BitsStored)
    low = -(2.0 ** (bits - 1)) if dataset.get("PixelRepresentation") else 0.0
    slope, intercept = (float(tables.get(keyword, usual)) for keyword, usual in RESCALE.items())
    return low * slope + intercept, (low + 2.0**bits - 1) * slope + intercept


def _tables(dataset: Dataset, index: int) -> Dataset:
    """What pydicom looks for in a classic file to transform values, of one frame of any file."""
    from pydicom import Dataset

    tables = Dataset()
    # the byte order of look-up tables
    tables.file_meta = dataset.file_meta
    for keyword in ("PhotometricInterpretation", "BitsStored", "PixelRepresentation", *TABLES):
        if dataset.get(keyword) is not None:
            setattr(tables, keyword, dataset.get(keyword))
    elements: dict[str, Any] = frame_elements(dataset, index, [*RESCALE, *WINDOW])
    if elements.keys() & RESCALE.keys():
        elements = RESCALE | elements
    for keyword, value in elements.items():
        setattr(tables, keyword, value)
    return tables


def read_values(frames: Sequence[Frame]) -> np.ndarray:
    """The frames of a stack as float32 ``(W, H, D)``, each as :func:`frame_values` gives it.

    Raises:
        UserError: when pixels are missing, truncated or cannot be decoded.
    """
    import pydicom

    # in the files' order, and turned at the end: a view, where writing slice after slice across memory is slow
    volume = np.empty((len(frames), *frames[0].shape[::-1]), dtype=np.float32)
    opened: dict[Path, Dataset] = {}
    for place, frame in enumerate(frames):
        with decoding(frame.path.name, "pixels that cannot be decoded", "a whole picture"):
            if frame.path not in opened:
                # of classic files only one is needed at a time
                opened = {frame.path: pydicom.dcmread(frame.path)}
                check_claims(opened[frame.path], frame.path)
            volume[place] = frame_values(opened[frame.path], frame.index)
    return volume.T


def resample(volume: np.ndarray, frames: Sequence[Frame], geometry: Geometry) -> np.ndarray:
    """The volume on the even, straight grid of ``geometry``, by linear interpolation.

    Slices are shifted back within their planes, then interpolated between their neighbours along the normal. What no
    slice covers takes the least value of the volume, which in CT is air.

    Args:
        volume: values ``(W, H, D)`` of ``frames``.
        frames: sorted, as :func:`kdseg.data.formats.dicom.geometry.measure` has measured them.
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
