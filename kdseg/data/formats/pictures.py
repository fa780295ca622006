"""Frames of a plain picture: PNG, JPEG, TIFF, PGM, BMP, GIF."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kdseg.data.formats.frame_source import FrameSource
from kdseg.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["natural_limits", "open_picture"]

# pixel types that are turned into plain grey or RGB values; the others are kept as stored
PLAIN_MODES = {
    "1": "L",
    "LA": "L",
    "P": "RGB",
    "PA": "RGB",
    "RGBA": "RGB",
    "RGBX": "RGB",
    "CMYK": "RGB",
    "YCbCr": "RGB",
}


def open_picture(path: Path, indices: bool = False) -> FrameSource:
    """Open a picture through Pillow, which goes by the content; the pages of a TIFF or GIF are its frames.

    Pages of another size than the first are thumbnails or lower levels of a pyramid, and no frames. Pictures say
    nothing reliable of millimetres (their dots per inch are a printer's), so the spacing is unknown.

    Args:
        path: of the file.
        indices: of a picture with a palette the numbers, as masks of several classes use them, and not the colours.

    Raises:
        UserError: when the content is no picture, or one of more than 178 million pixels.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if _is_deep_colour(image):
                pages = _tiff_pages(path)
            else:
                pages = [_page(image, index, indices) for index in range(getattr(image, "n_frames", 1))]
    except Image.DecompressionBombError:
        found = "a picture of more pixels than a workstation has memory for"
        expected = f"at most {2 * (Image.MAX_IMAGE_PIXELS or 0) // 10**6} million pixels"
        fix = "cut out the region of interest, or save the picture at a lower resolution"
        raise UserError(path.name, found=found, expected=expected, fix=fix) from None
    except UnidentifiedImageError:
        if not path.name.lower().endswith((".tif", ".tiff")):
            expected = "PNG, JPEG, TIFF, PGM, BMP, NIfTI or DICOM"
            fix = "export the image again in one of these formats"
            raise UserError(path.name, found="content that is no picture", expected=expected, fix=fix) from None
        pages = _tiff_pages(path)
    pages = [page for page in pages if page.shape == pages[0].shape]
    low, high = natural_limits(pages)
    return FrameSource(lambda index: pages[index], len(pages), low, high, "picture")


def _page(image: Image.Image, index: int, indices: bool) -> np.ndarray:
    image.seek(index)
    mode = None if indices and image.mode == "P" else PLAIN_MODES.get(image.mode)
    array = np.asarray(image.convert(mode) if mode else image)
    if image.mode == "I":
        # Pillow holds 16-bit PGM and some 16-bit PNG files in 32 bits
        array = array.clip(0, 65535).astype(np.uint16)
    # MONAI's order of axes is (W, H), a picture's array is (H, W)
    return array.swapaxes(0, 1)


def _is_deep_colour(image: Image.Image) -> bool:
    """Whether this is a colour TIFF of more than 8 bits: where Pillow opens one, it takes bytes for values."""
    bits_per_sample = image.tag_v2.get(258, 8) if image.format == "TIFF" else 8  # type: ignore[attr-defined]
    return image.mode in ("RGB", "RGBA", "RGBX") and np.max(bits_per_sample) > 8


def _tiff_pages(path: Path) -> list[np.ndarray]:
    """The pages of a TIFF that Pillow does not know, such as 16-bit RGB."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        return [_tiff_page(page.asarray(), page.axes) for page in tiff.pages]


def _tiff_page(array: np.ndarray, axes: str) -> np.ndarray:
    # colours may be stored one plane after the other ("SYX") or pixel by pixel ("YXS")
    array = np.moveaxis(array, 0, -1) if axes == "SYX" else array
    return (array[..., :3] if array.ndim == 3 else array).swapaxes(0, 1)


def natural_limits(pages: list[np.ndarray]) -> tuple[float, float]:
    """The values of black and white for arrays that carry no depth of their own.

    Unsigned integers: the range of their type. Floats and signed integers: [0, 1] when all values lie within, else the
    range of 8 bits when all values lie within, else from the least to the greatest value of the file.

    Example:
        >>> natural_limits([np.array([0, 7], dtype=np.uint8)]), natural_limits([np.array([0.0, 0.7])])
        ((0.0, 255.0), (0.0, 1.0))
    """
    if pages[0].dtype.kind == "u":
        return 0.0, float(np.iinfo(pages[0].dtype).max)
    least, greatest = float(min(page.min() for page in pages)), float(max(page.max() for page in pages))
    for high in (1.0, 255.0):
        if least >= 0 and greatest <= high:
            return 0.0, high
    return least, greatest
