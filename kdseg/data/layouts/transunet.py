"""Abdominal CT as prepared by TransUNet: training slices in ``.npz``, test volumes in ``.npy.h5``; made NIfTI again."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import numpy as np

from kdseg.data.layouts.layout import Found
from kdseg.data.open import decoding
from kdseg.errors import UserError
from kdseg.files import whole_file

__all__ = ["WINDOW", "has_transunet_files", "volumes_of_transunet"]

WINDOW = (-125.0, 275.0)
"""In HU; the files have it scaled to [0, 1]."""

SLICE = re.compile(r"^(?P<case>case\d+)_slice(?P<slice>\d+)\.npz$")
VOLUME = re.compile(r"^(?P<case>case\d+)\.npy\.h5$")


def has_transunet_files(source: Path) -> bool:
    """Whether any file below ``source`` is named as TransUNet names them."""
    return any(SLICE.match(path.name) or VOLUME.match(path.name) for path in source.rglob("*"))


def volumes_of_transunet(source: Path, made: Path) -> Found:
    """Each case as two NIfTI files in ``made``: values in HU again (within the window), labels of 8 organs.

    These files have no voxel size: the affine is the identity, so distances in mm are distances in voxels.

    Args:
        source: the folder with the files.
        made: where the volumes are written; those that are there already are kept.
    """
    found = Found(notes=["TransUNet's files have no voxel size: distances in mm are distances in voxels"])
    slices: dict[str, dict[int, Path]] = defaultdict(dict)
    volumes: dict[str, Path] = {}
    for path in sorted(source.rglob("*")):
        if match := SLICE.match(path.name):
            slices[match["case"]][int(match["slice"])] = path
        elif match := VOLUME.match(path.name):
            volumes[match["case"]] = path
    for case in sorted(slices.keys() | volumes.keys()):
        try:
            files = [made / f"{case}_image.nii.gz", made / f"{case}_label.nii.gz"]
            if not all(file.is_file() for file in files):
                arrays = _volume(volumes[case]) if case in volumes else _stacked(case, slices[case])
                _write(arrays, files)
        except UserError as error:
            path = volumes.get(case) or next(iter(slices[case].values()))
            found.problem(path, source, "damaged files", error.found, case)
            continue
        found.records.append({"image": str(files[0]), "label": str(files[1]), "case": case, "patient": case})
    return found


def _stacked(case: str, paths: dict[int, Path]) -> tuple[np.ndarray, np.ndarray]:
    missing = sorted(set(range(max(paths) + 1)) - paths.keys())
    if missing:
        found = f"{len(missing)} missing slices, the first is {missing[0]}"
        raise UserError(case, found=found, expected="all slices of the case", fix="unpack the files again")
    pairs = []
    for number in sorted(paths):
        with (
            decoding(case, f"slice {number} that cannot be read", "image and label"),
            np.load(paths[number]) as content,
        ):
            pairs.append((content["image"], content["label"]))
    return np.stack([image for image, _ in pairs]), np.stack([label for _, label in pairs])


def _volume(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        import h5py
    except ImportError as error:
        fix = "pip install 'kdseg[hdf5]'"
        raise UserError(path.name, found="no package 'h5py'", expected="it, to read .h5", fix=fix) from error
    with decoding(path.name, "a file that cannot be read", "image and label"), h5py.File(path) as content:
        return content["image"][()], content["label"][()]


def _write(arrays: tuple[np.ndarray, np.ndarray], files: list[Path]) -> None:
    """Slices come first in the files and last in NIfTI; rows, then columns, become MONAI's W, H."""
    import nibabel

    low, high = WINDOW
    image, label = (array.transpose(2, 1, 0) for array in arrays)
    values = [np.round(image * (high - low) + low).astype(np.int16), label.astype(np.uint8)]
    for array, file in zip(values, files, strict=True):
        with whole_file(file) as temporary:
            nibabel.save(nibabel.Nifti1Image(array, np.diag([-1.0, -1.0, 1.0, 1.0])), temporary)
