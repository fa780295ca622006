"""A folder of phantom angiograms with masks, laid out as people lay out their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from kdseg.errors import UserError
from kdseg.files import whole_folder
from kdseg.phantom.angiogram import acquire
from kdseg.phantom.dicom import ENCODINGS, write_dicom
from kdseg.phantom.vessels import coronary_tree

__all__ = ["new_set", "write_phantom_set"]

EVERY_CINE = 5  # one acquisition in five is a cine
MOST_VIEWS = 3  # of one patient


def write_phantom_set(
    folder: str | Path, count: int = 60, unlabelled: int = 12, size: int = 256, seed: int = 0
) -> Path:
    """Write phantom angiograms as XA DICOM files: ``images/NAME.dcm``, ``masks/NAME.png`` and ``unlabelled/NAME.dcm``.

    Patients have one to three acquisitions each, from different angles, of the same heart. The encodings of
    :data:`~kdseg.phantom.dicom.ENCODINGS` take turns, and every fifth file is a cine of six to eight frames; its
    mask belongs to the last frame, which has the most contrast. Masks are 0 and 255.

    Args:
        folder: a new or empty folder. It appears when the set is whole, never before.
        count: acquisitions with a mask.
        unlabelled: acquisitions without one, of other patients.
        size: rows and columns, an even number of at least 64.
        seed: the same seed, with the same versions of numpy, scipy and pydicom, gives the same bytes.

    Returns:
        The folder.

    Raises:
        UserError: ``folder`` holds something, ``count`` or ``unlabelled`` is out of range, or ``size`` is.

    Example:
        >>> import tempfile
        >>> folder = write_phantom_set(Path(tempfile.mkdtemp()) / "angiograms", count=2, unlabelled=1, size=64)
        >>> sorted(str(path.relative_to(folder).as_posix()) for path in folder.rglob("*.*"))
        ... # doctest: +NORMALIZE_WHITESPACE
        ['images/phantom_0001.dcm', 'images/phantom_0002.dcm', 'masks/phantom_0001.png', 'masks/phantom_0002.png',
         'unlabelled/phantom_0003.dcm']
    """
    if size % 2:
        raise UserError("size", found=str(size), expected="an even number", fix="use size=256")
    with new_set(folder, count, unlabelled, size, 64, seed) as unfinished:
        patients = _write_patients(unfinished, range(1, count + 1), 1, size, seed, labelled=True)
        _write_patients(unfinished, range(count + 1, count + unlabelled + 1), patients + 1, size, seed, labelled=False)
    return Path(folder)


@contextmanager
def new_set(folder: str | Path, count: int, unlabelled: int, size: int, smallest: int, seed: int) -> Iterator[Path]:
    """The folders of a set, which appears when it is whole, after a look at the numbers."""
    if count < 1 or unlabelled < 0 or seed < 0 or size < smallest:
        found = f"count={count}, unlabelled={unlabelled}, seed={seed}, size={size}"
        expected = f"a count of at least 1, a size of at least {smallest}, and neither of the others below 0"
        raise UserError("phantoms", found=found, expected=expected, fix="choose other numbers")
    with whole_folder(Path(folder)) as unfinished:
        for name in ("images", "masks", "unlabelled"):
            (unfinished / name).mkdir()
        yield unfinished


def _write_patients(folder: Path, series: range, patient: int, size: int, seed: int, labelled: bool) -> int:
    """Write the numbered acquisitions, patient after patient from ``patient`` on; return the last patient's number."""
    from PIL import Image

    waiting = list(series)
    while waiting:
        rng = np.random.default_rng([seed, patient])
        tree = coronary_tree(rng)
        views = int(rng.integers(1, MOST_VIEWS + 1))
        for number in waiting[:views]:
            frames = int(rng.integers(6, 9)) if number % EVERY_CINE == 0 else 1
            angiogram = acquire(rng, tree, size, frames)
            name = f"phantom_{number:04d}"
            place = folder / ("images" if labelled else "unlabelled") / f"{name}.dcm"
            encoding = ENCODINGS[(number - 1) % len(ENCODINGS)]
            write_dicom(place, angiogram, encoding, patient=patient, series=number, seed=seed)
            if labelled:
                Image.fromarray(angiogram.mask.astype(np.uint8) * 255).save(folder / "masks" / f"{name}.png")
        waiting = waiting[views:]
        patient += 1
    return patient - 1
