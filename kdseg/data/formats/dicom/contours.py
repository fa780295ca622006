"""The contours of a DICOM RTSTRUCT file, filled on the grid of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kdseg.data.formats.dicom.geometry import LPS_TO_RAS
from kdseg.data.formats.dicom.headers import numbers
from kdseg.data.formats.dicom.structures import values_to_paint
from kdseg.data.open import decoding
from kdseg.errors import UserError

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["fill_contours"]

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
# of the distance between slices: how far the points of one contour may leave its plane
FLAT_TOLERANCE = 0.1


def fill_contours(
    path: Path, affine: np.ndarray, shape: Sequence[int], names: Mapping[str, int] | None, absent: str
) -> np.ndarray:
    """The label map ``(W, H, D)`` of an RTSTRUCT file on the image's grid.

    A voxel belongs to a region if its centre lies within the contour. Contours of one region in one plane are combined
    by exclusive or, so that an inner one is a hole; a contour that is there twice counts once. Each slice takes the
    contours of the plane that is nearest to it, if that is within half the distance between slices; slices between
    contoured ones stay empty, nothing is interpolated. Points and open lines are passed over. Where regions overlap,
    the one painted later covers.

    Args:
        path: the file.
        affine: of the image, 4×4 in RAS axes.
        shape: of the image: columns, rows, slices.
        names, absent: see :func:`kdseg.data.formats.dicom.structures.values_to_paint`.

    Raises:
        UserError: when the file cannot be decoded, its contours do not lie in the image's slices, or all of a region
            lies outside the image.
    """
    import pydicom

    to_index = np.linalg.inv(affine) @ LPS_TO_RAS
    label = np.zeros(tuple(shape), dtype=np.int16)
    with decoding(path.name, "contours that cannot be read", "a whole DICOM RTSTRUCT file"):
        dataset = pydicom.dcmread(path)
        structures = [(int(item.ROINumber), str(item.get("ROIName") or "")) for item in dataset.StructureSetROISequence]
        painted = values_to_paint(structures, names, absent, path.name)
        points_of = {number: _contours(dataset, number) for number, _ in painted}
    for number, value in painted:
        contours = [points @ to_index[:3, :3].T + to_index[:3, 3] for points in points_of[number]]
        planes = _planes(contours, dict(structures)[number], path.name)
        inside = _fill(planes, label.shape)
        if planes and not inside:
            found = "contours that all lie outside the image"
            fix = "check that the structure set was drawn on this series"
            raise UserError(
                f"{path.name}, region '{dict(structures)[number]}'", found=found, expected="contours within it", fix=fix
            )
        for place, mask in inside.items():
            label[..., place][mask] = value
    return label


def _contours(dataset: Dataset, number: int) -> list[np.ndarray]:
    """The closed contours of a region, each ``N3`` in mm of DICOM's axes."""
    found: dict[bytes, np.ndarray] = {}
    for region in dataset.get("ROIContourSequence") or []:
        if int(region.ReferencedROINumber) != number:
            continue
        for contour in region.get("ContourSequence") or []:
            if contour.ContourGeometricType in CLOSED:
                values = contour.ContourData
                points = numbers(values, len(values) // 3 * 3)
                if points is None or len(points) < 9:
                    raise ValueError("contour data are not three or more points of three numbers")
                found[points.tobytes()] = points.reshape(-1, 3)
    return list(found.values())


def _planes(contours: Sequence[np.ndarray], region: str, name: str) -> dict[float, list[np.ndarray]]:
    """Contours in index coordinates by the slice coordinate that they lie at, to a hundredth of a slice."""
    planes: dict[float, list[np.ndarray]] = {}
    for points in contours:
        if np.ptp(points[:, 2]) > FLAT_TOLERANCE:
            found = f"a contour that crosses {np.ptp(points[:, 2]):.1f} slices"
            expected = "contours that lie in the image's slices"
            fix = "check that the structure set was drawn on this series, and that the series was not resampled"
            raise UserError(f"{name}, region '{region}'", found=found, expected=expected, fix=fix)
        planes.setdefault(round(float(points[:, 2].mean()), 2), []).append(points[:, :2])
    return planes


def _fill(planes: Mapping[float, Sequence[np.ndarray]], shape: Sequence[int]) -> dict[int, np.ndarray]:
    from skimage.draw import polygon2mask

    nearest: dict[int, float] = {}
    for depth in planes:
        place = round(depth)
        if 0 <= place < shape[2] and abs(depth - place) < abs(nearest.get(place, np.inf) - place):
            nearest[place] = depth
    filled = {}
    for place, depth in nearest.items():
        mask = np.zeros(tuple(shape[:2]), dtype=bool)
        for points in planes[depth]:
            mask ^= polygon2mask(mask.shape, points)
        filled[place] = mask
    return filled
