"""MONAI reader of pictures: DICOM cines and slides, plain pictures, 2-D NIfTI and whole-slide files, all alike."""

from __future__ import annotations

from typing import Any

from kdseg.data.formats.file_reader import FileReader
from kdseg.data.frames.picture_files import PictureFiles

__all__ = ["PictureReader"]

SETTINGS = ("frame", "colour", "level")


class PictureReader(PictureFiles, FileReader):
    """Reads pictures for ``LoadImaged(keys="image", reader="kdseg.data.PictureReader", frame="best")``.

    Files: DICOM of any usual transfer syntax, single- and multi-frame, slide microscopy (tiles put together by their
    positions); PNG, JPEG, TIFF (strips or tiles, 8 or 16 bits), PGM, BMP; 2-D NIfTI; whole-slide files through MONAI's
    WSIReader. The same picture gives the same array from each of them.

    The array is float32 ``(C, W, H)`` in MONAI's order of axes, ``original_channel_dim`` is 0: C is 1 for one frame in
    grey and 3 in colour, times the number of frames for ``frame="all"``. Frames are channels and never a spatial axis,
    so that spatial transforms treat each frame as the 2-D picture it is.

    Values lie in [0, 1], scaled by the depth that the file declares (after modality LUT and VOI LUT or window in
    DICOM), not by what occurs in it, so that frames and files stay comparable. Vessels are dark in every file
    (MONOCHROME1 is inverted). 10- or 12-bit values in a picture that declares 16 bits therefore look dark: scale the
    intensity in the transforms.

    The meta data hold ``affine`` (4×4, mm), ``spacing_known``, ``frame`` (-1 for all), ``frame_count``,
    ``file_format`` ("dicom", "picture", "nifti") and MONAI's own keys; nothing from the header that could name a
    patient. The spacing is what DICOM (see :func:`kdseg.data.formats.dicom.cines.pixel_spacing`) or a slide says;
    unknown: identity.

    Args:
        frame: a frame's number from 0; "best": the frame with the most contrast-filled vessel
            (:func:`kdseg.data.frames.best_frame.vessel_contrast`); "all": every frame, as channels.
        colour: red, green and blue; otherwise the luminance.
        level: of a whole-slide file or a TIFF pyramid: 0 is full resolution.
        settings: another one is refused, with the near name; LoadImage itself would only warn of it.

    Raises:
        UserError: for an unknown setting; for a file that is missing, empty, truncated or no image; for a frame or
            level that is not there; for a field of more than 178 million pixels, or of fewer than 4 along a side; for
            values that are no numbers.

    Example:
        >>> import tempfile; from PIL import Image; from monai.transforms import LoadImage
        >>> path = Path(tempfile.mkdtemp()) / "field.png"
        >>> Image.new("RGB", (40, 30), (255, 0, 0)).save(path)
        >>> image = LoadImage(reader="kdseg.data.PictureReader", colour=True, ensure_channel_first=True)(path)
        >>> tuple(image.shape), image[:, 0, 0].tolist()
        ((3, 40, 30), [1.0, 0.0, 0.0])
    """

    def __init__(self, **settings: Any) -> None:
        FileReader.__init__(self, settings, SETTINGS)
        PictureFiles.__init__(self, **settings)
