"""Phantom fields of stained tissue: nuclei in stroma, and a region where they are many, large and dark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from kdseg.phantom.dataset import new_set
from kdseg.phantom.slide import write_slide

__all__ = ["make_field", "write_pathology_set"]

# colours of haematoxylin and eosin, roughly
STROMA, FIBRES, NUCLEI = (np.array(colour, np.float32) for colour in ((236, 205, 222), (214, 160, 190), (104, 72, 148)))
SPACING = 0.0005  # mm, as of a scan with a 20× objective


def make_field(size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A made-up field and its tumour mask. Of no tissue that exists; good for trying the way of the data.

    Args:
        size: rows and columns, at least 32.
        seed: the same seed, with the same versions of numpy and scipy, gives the same field.

    Returns:
        Red, green and blue, uint8 ``(H, W, 3)``, and the mask, boolean ``(H, W)``.

    Example:
        >>> field, mask = make_field(64)
        >>> field.shape, mask.shape, bool(field[mask].mean() < field[~mask].mean())
        ((64, 64, 3), (64, 64), True)
    """
    rng = np.random.default_rng(seed)

    def waves(width: float) -> np.ndarray:
        smooth = ndimage.gaussian_filter(rng.standard_normal((size, size)), width, mode="wrap")
        return smooth / smooth.std()

    region = waves(size / 8)
    tumour = region > np.quantile(region, rng.uniform(0.45, 0.75))
    fibres = np.clip(waves(2.0) * 0.3 + 0.4, 0, 1)[..., None]
    picture = STROMA * (1 - fibres) + FIBRES * fibres
    for within, distance, radius, depth in ((~tumour, 9, 1.6, 0.75), (tumour, 5, 2.4, 0.95)):
        seeds = (rng.random((size, size)) < 1 / distance**2) & within
        nuclei = ndimage.distance_transform_edt(~seeds) <= radius + 0.5 * waves(3.0)
        cover = depth * ndimage.gaussian_filter(nuclei.astype(np.float32), 0.6)[..., None]
        picture = picture * (1 - cover) + NUCLEI * cover
    picture += rng.normal(0, 4, picture.shape)
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8), tumour


def write_pathology_set(
    folder: str | Path, count: int = 24, unlabelled: int = 6, size: int = 512, seed: int = 0
) -> Path:
    """Write phantom fields as ``images/NAME`` with ``masks/NAME.png`` (0 and 255), and ``unlabelled/NAME``.

    PNG, TIFF in tiles of 16 bits, DICOM slide microscopy with full and with sparse tiling take turns.

    Args:
        folder: a new or empty folder. It appears when the set is whole, never before.
        count: fields with a mask.
        unlabelled: fields without one.
        size: rows and columns, at least 32.
        seed: another seed, other fields.

    Raises:
        UserError: ``folder`` holds something, or a number is out of range.

    Example:
        >>> import tempfile
        >>> folder = write_pathology_set(Path(tempfile.mkdtemp()) / "fields", count=4, unlabelled=0, size=32)
        >>> sorted(path.name for path in (folder / "images").iterdir())
        ['field_0001.png', 'field_0002.tiff', 'field_0003.dcm', 'field_0004.dcm']
    """
    from PIL import Image

    with new_set(folder, count, unlabelled, size, 32, seed) as unfinished:
        for number in range(1, count + unlabelled + 1):
            field, tumour = make_field(size, seed * 100_000 + number)
            place = unfinished / ("images" if number <= count else "unlabelled") / f"field_{number:04d}"
            _write_field(place, field, number, seed)
            if number <= count:
                Image.fromarray(tumour.astype(np.uint8) * 255).save(unfinished / "masks" / f"{place.name}.png")
    return Path(folder)


def _write_field(place: Path, field: np.ndarray, number: int, seed: int) -> None:
    from PIL import Image

    form = (number - 1) % 4
    if form == 0:
        Image.fromarray(field).save(place.with_suffix(".png"))
    elif form == 1:
        import tifffile

        # 257 turns the greatest value of 8 bits into that of 16
        tifffile.imwrite(place.with_suffix(".tiff"), field.astype(np.uint16) * 257, tile=(128, 128), photometric="rgb")
    else:
        write_slide(
            place.with_suffix(".dcm"), field, tile=48, sparse=form == 3, number=number, seed=seed, spacing=SPACING
        )
