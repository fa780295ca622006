"""The segments of a DICOM SEG file as one label map, on the grid that the file itself has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from kdseg.data.formats.dicom.decoders import decoder_of
from kdseg.data.formats.dicom.geometry import LPS_TO_RAS
from kdseg.data.formats.dicom.structures import values_to_paint
from kdseg.data.open import decoding
from kdseg.errors import UserError

__all__ = ["read_segmentation"]


def read_segmentation(path: Path, names: Mapping[str, int] | None, absent: str) -> tuple[np.ndarray, np.ndarray]:
    """The label map ``(W, H, D)`` of a SEG file and its affine, 4×4 in RAS axes.

    Binary, fractional and label-map segmentations, read by highdicom. A fractional segment is where its value is at
    least half of the maximal one. Frames that the file leaves out are background. Where segments overlap, the one
    painted later covers.

    Args:
        path: the file.
        names, absent: see :func:`kdseg.data.formats.dicom.structures.values_to_paint`.

    Raises:
        UserError: when the file cannot be decoded, is of a slide, or its planes are not parallel, evenly spaced and
            straight above each other.
    """
    import highdicom

    with decoding(path.name, "segments that cannot be decoded", "a whole DICOM SEG file"):
        segments = highdicom.seg.segread(path)
        # so that pydicom, which highdicom asks, knows our decoder
        decoder_of(segments)
        structures = [
            (number, segments.get_segment_description(number).segment_label) for number in segments.segment_numbers
        ]
        painted = values_to_paint(structures, names, absent, path.name)
        geometry = None if segments.is_tiled else segments.get_volume_geometry(allow_missing_positions=True)
        if geometry is None:
            found = "planes that are no volume (of a slide, not parallel, unevenly spaced, or shifted sideways)"
            expected = "a segmentation of a volume, in parallel planes"
            raise UserError(path.name, found=found, expected=expected, fix="export it as NIfTI")
        label = np.zeros(geometry.spatial_shape, dtype=np.int16)
        for number, value in painted:
            segment = segments.get_volume(segment_numbers=[number], allow_missing_positions=True)
            label[segment.array[..., 0] >= 0.5] = value
    # highdicom's axes are slices, rows, columns
    return label.T, LPS_TO_RAS @ geometry.affine[:, [2, 1, 0, 3]]
