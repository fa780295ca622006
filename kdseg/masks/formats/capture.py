"""Secondary Capture of a cine with its mask drawn on it: what every DICOM viewer shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kdseg.data.frames.open_frames import open_frames
from kdseg.errors import UserError
from kdseg.masks.formats.dicom_head import new_dataset, open_sources, referenced_series
from kdseg.masks.mask import Mask
from kdseg.pictures.preview import coloured

__all__ = ["write_capture"]

CAPTURE_STORAGE = "1.2.840.10008.5.1.4.1.1.7.4"
QUALITY = 90
FRAME_TIME = 0x00181063
TIMES = ("FrameTime", "RecommendedDisplayFrameRate", "CineRate")


def write_capture(mask: Mask, path: Path) -> list[str]:
    """Write the source's frames in colour, with the areas of the classes on them, as multi-frame Secondary Capture.

    JPEG baseline, because archives and viewers all have it; the frame time is the source's.

    Returns:
        remarks on what is not as one would wish.

    Raises:
        UserError: for a volume: its SEG is what viewers show.
    """
    import imagecodecs
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEGBaseline8Bit

    if mask.is_volume:
        fix = "write a SEG (--format seg)"
        raise UserError(mask.source.name, found="a volume", expected="a picture or cine for a capture", fix=fix)
    (source,), remarks = open_sources([mask.source], *TIMES, "BurnedInAnnotation", spatial=False)
    frames = open_frames(mask.source)
    pictures = [
        coloured(np.rint(frames.grey(index if mask.frame < 0 else mask.frame).T * 255).astype(np.uint8), areas.T)
        for index, areas in enumerate(mask.values)
    ]
    encoded = [bytes(imagecodecs.jpeg8_encode(picture, level=QUALITY, subsampling="422")) for picture in pictures]
    dataset = new_dataset(mask, source, CAPTURE_STORAGE, "OT", "Overlay by kdseg; research only")
    dataset.ConversionType, dataset.ImageType = "WSD", ["DERIVED", "SECONDARY"]
    dataset.BurnedInAnnotation = source.get("BurnedInAnnotation") or "YES"
    dataset.DerivationDescription = "Areas found by a network, drawn on the picture; for research only"
    dataset.SourceImageSequence = list(referenced_series([source]).ReferencedInstanceSequence)
    dataset.PatientOrientation = dataset.Laterality = ""
    for keyword in TIMES:
        if keyword in source:
            dataset[keyword] = source[keyword]
    dataset.FrameTime = source.get("FrameTime") or "66.7"
    dataset.FrameIncrementPointer = FRAME_TIME
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "YBR_FULL_422", 0
    dataset.NumberOfFrames, (dataset.Rows, dataset.Columns) = len(pictures), pictures[0].shape[:2]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    size, packed = sum(picture.nbytes for picture in pictures), sum(map(len, encoded))
    dataset.LossyImageCompression, dataset.LossyImageCompressionMethod = "01", "ISO_10918_1"
    dataset.LossyImageCompressionRatio = f"{size / packed:.2f}"
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate(encoded)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path, enforce_file_format=True)
    return remarks
