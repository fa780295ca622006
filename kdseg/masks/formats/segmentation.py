"""DICOM SEG of a volume, on the instances that it was predicted from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kdseg._version import __version__
from kdseg.data.formats.dicom.geometry import LPS_TO_RAS
from kdseg.data.formats.dicom.headers import GROUPS
from kdseg.data.formats.dicom.series import DicomSeries
from kdseg.data.open import decoding
from kdseg.masks.formats.dicom_head import PURPOSE, equipment, open_sources, series_number, source_series
from kdseg.masks.formats.segments import coding_remarks, segment_descriptions
from kdseg.masks.mark import MARK
from kdseg.masks.mask import Mask

__all__ = ["write_segmentation"]

# with the functional groups of enhanced files, where these have the same
PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices")


def write_segmentation(mask: Mask, path: Path) -> list[str]:
    """Write a binary SEG with a segment for each class: what archives and viewers take, made by highdicom.

    Each frame lies exactly where its source instance lies, and refers to it; frames without a voxel of a segment are
    left out. The patient's, study's and frame of reference's identifiers are those of the source, and no other element
    of it is taken over. Of a series that was read with ``uneven="resample"`` the frames lie on the even grid.

    Returns:
        remarks on what is not as one would wish.

    Raises:
        UserError: when the series is not what the mask was predicted from, or cannot be referred to.
    """
    import highdicom
    from pydicom.uid import generate_uid

    series = source_series(mask)
    sources, remarks = open_sources(series.files, *PLACE, *GROUPS, "ImageType")
    with decoding(mask.source.name, "headers that no SEG can refer to", "a series as the standard has it"):
        file = highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=_pixels(mask, series, sources),
            segmentation_type="BINARY",
            segment_descriptions=segment_descriptions(mask),
            series_instance_uid=generate_uid(),
            series_number=series_number(sources[0]),
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer=MARK,
            manufacturer_model_name=MARK,
            software_versions=__version__,
            device_serial_number=mask.maker.student or "0",
            content_label="KDSEG",
            content_description=f"{mask.maker.task} {mask.maker.method}".strip()[:64] or None,
            series_description=PURPOSE,
        )
        file["ContributingEquipmentSequence"].value = [equipment(mask)]
    file.save_as(path, enforce_file_format=True)
    return [*remarks, *coding_remarks(mask)]


def _pixels(mask: Mask, series: DicomSeries, sources: list[Any]) -> Any:
    """Class numbers in highdicom's order: frames of the source, rows, columns."""
    import highdicom

    slices = mask.values[0].T
    if series.refusal is not None:
        affine = (LPS_TO_RAS @ mask.affine)[:, [2, 1, 0, 3]]
        space = sources[0].FrameOfReferenceUID
        return highdicom.Volume(slices, affine, coordinate_system="PATIENT", frame_of_reference_uid=space)
    if len(sources) == len(slices):
        return np.ascontiguousarray(slices)
    # of an enhanced file: its frames in their own order; those of another volume in it stay empty and are left out
    frames = np.zeros((int(sources[0].NumberOfFrames), *slices.shape[1:]), np.uint8)
    frames[[frame.index for frame in series.stack.frames]] = slices
    return frames
