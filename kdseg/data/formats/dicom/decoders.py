"""Decodes compressed DICOM pixels by imagecodecs, after a look at each frame: pydicom's decoders trust what it claims.

Left to itself pydicom asks every plug-in that is installed until one gives a picture: pylibjpeg-libjpeg gives one for
half a frame, GDCM and pylibjpeg-rle end the process on some damaged headers, CharLS searches long for a missing end,
and OpenJPEG takes all memory for a false size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.pixels.decoders.base import DecodeRunner

__all__ = ["decoder_of"]

CODECS = {
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70)), "jpeg8"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{number}" for number in (80, 81)), "jpegls"),
    **dict.fromkeys((f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 201, 202, 203)), "jpeg2k"),
}
"""Transfer syntax → codec of imagecodecs; ``jpeg8`` is libjpeg-turbo, for 12 and 16 bits too."""
RLE = "1.2.840.10008.1.2.5"

END = b"\xff\xd9"
JPEG_2000_START = b"\xff\x4f\xff\x51"
# start of frame of JPEG and JPEG-LS
FRAME_MARKERS = {0xF7, *range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def decoder_of(dataset: Dataset) -> str:
    """The ``decoding_plugin`` for pydicom's ``pixel_array`` and ``iter_pixels``; empty where pydicom needs none.

    Example:
        >>> from pydicom import Dataset
        >>> from pydicom.dataset import FileMetaDataset
        >>> dataset = Dataset()
        >>> dataset.file_meta = FileMetaDataset()
        >>> dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.70"
        >>> decoder_of(dataset)
        'imagecodecs'
    """
    from pydicom.pixels import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax not in CODECS:
        return "pydicom" if syntax == RLE else ""
    if "imagecodecs" not in get_decoder(syntax).available_plugins:
        get_decoder(syntax).add_plugin("imagecodecs", (__name__, "decode_frame"))
    return "imagecodecs"


def is_available(uid: str) -> bool:
    """What pydicom asks of a plug-in's module."""
    return uid in CODECS


def decode_frame(source: bytes, runner: DecodeRunner) -> bytes:
    """One frame, as pydicom asks it of a plug-in.

    Raises:
        ValueError: when the frame is cut off, or has another size than the header says. imagecodecs has its own errors.
    """
    import imagecodecs

    codec = CODECS[runner.transfer_syntax]
    width, height, place = _jpeg_2000_size(source) if codec == "jpeg2k" else _jpeg_size(source)
    if (height, width) != (runner.rows, runner.columns):
        raise ValueError(f"the frame has {width}×{height} pixels, the header {runner.columns}×{runner.rows}")
    # none of the formats has these bytes between its header and its end
    if END not in source[place:]:
        raise ValueError("the frame is cut off")
    # the same colours on both sides: pydicom converts them itself
    is_colour = codec == "jpeg8" and runner.samples_per_pixel == 3
    settings = {"colorspace": "RGB", "outcolorspace": "RGB"} if is_colour else {}
    frame = getattr(imagecodecs, f"{codec}_decode")(source, **settings)
    runner.set_option("bits_allocated", 8 * frame.itemsize)
    runner.set_option("planar_configuration", 0)
    if codec == "jpeg2k" and runner.photometric_interpretation in ("YBR_ICT", "YBR_RCT"):
        runner.set_option("photometric_interpretation", "RGB")
    return frame.tobytes()


def _jpeg_size(source: bytes) -> tuple[int, int, int]:
    """Width, height, and where the frame's header begins."""
    place = 2
    while place + 9 <= len(source) and source[place] == 0xFF:
        if source[place + 1] in FRAME_MARKERS:
            return (
                int.from_bytes(source[place + 7 : place + 9], "big"),
                int.from_bytes(source[place + 5 : place + 7], "big"),
                place,
            )
        # a marker may be padded with more of its first byte
        place += 1 if source[place + 1] == 0xFF else 2 + int.from_bytes(source[place + 2 : place + 4], "big")
    raise ValueError("the frame has no header")


def _jpeg_2000_size(source: bytes) -> tuple[int, int, int]:
    if not source.startswith(JPEG_2000_START):
        raise ValueError("the frame has no header")
    width, height, left, top = (int.from_bytes(source[start : start + 4], "big") for start in range(8, 24, 4))
    return width - left, height - top, 24
