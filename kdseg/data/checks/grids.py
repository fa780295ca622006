"""Whether a label map lies on its image's grid, and what the affines say where it does not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kdseg.data.checks.findings import ERROR, WARNING, Finding
from kdseg.data.volumes.labels import box_corners, same_grid

__all__ = ["compare_grids"]

# part of the labelled voxels that may lie outside the image
OUTSIDE = 0.01
# of a voxel, for grids that are each other's flips
SAME_PLACE = 0.05


def compare_grids(
    case: str, affine: np.ndarray, shape: Sequence[int], own: np.ndarray, label: np.ndarray
) -> list[Finding]:
    """Findings about a label map with affine ``own`` for an image with ``affine`` and ``shape``.

    Nothing where the grids are one. A label stored flipped or with its axes in another order is a warning: it is put
    right by its affine, and wrong in a tool that looks at the arrays alone. Of the same shape but elsewhere in the
    world: an error. On a grid of another shape: a warning, or an error where labelled voxels lie outside the image.
    """
    if label.shape == tuple(shape) and same_grid(own, affine, shape):
        return []
    stored, wanted = _codes(own), _codes(affine)
    if _same_voxels(own, label.shape, affine, shape):
        flip = "left and right" if _x_axis(stored) != _x_axis(wanted) else "its axes"
        text = f"the label is stored as {stored} and the image as {wanted}: {flip} turned; the affines put it right"
        return [Finding(WARNING, "label stored in another orientation", (case,), text)]
    if label.shape == tuple(shape):
        if np.allclose(own[:3, :3], np.eye(3)) and not np.allclose(affine[:3, :3], np.eye(3)):
            text = "the label's affine is the identity, so it was probably lost when the label was saved"
        else:
            apart = np.linalg.norm(((own - affine) @ box_corners(shape).T)[:3], axis=0).max()
            text = f"label and image are of one shape, but their affines put them up to {apart:.1f} mm apart"
        return [Finding(ERROR, "affine of the label differs", (case,), text)]
    outside = _outside(own, label, affine, shape)
    sizes = ["×".join(map(str, size)) for size in (label.shape, shape)]
    if outside > OUTSIDE:
        text = f"the label is {sizes[0]}, the image {sizes[1]}, and {outside:.0%} of the label lie outside the image"
        return [Finding(ERROR, "label outside the image", (case,), text)]
    text = f"the label is {sizes[0]}, the image {sizes[1]}: it is resampled to the nearest voxel"
    return [Finding(WARNING, "label on another grid", (case,), text)]


def _codes(affine: np.ndarray) -> str:
    import nibabel

    return "".join(map(str, nibabel.aff2axcodes(affine)))


def _x_axis(codes: str) -> str:
    return "L" if "L" in codes else "R"


def _same_voxels(own: np.ndarray, own_shape: Sequence[int], affine: np.ndarray, shape: Sequence[int]) -> bool:
    """Whether the two grids have the same voxels in another order."""
    import nibabel

    order = nibabel.orientations.ornt_transform(nibabel.io_orientation(own), nibabel.io_orientation(affine))
    turned = own @ nibabel.orientations.inv_ornt_aff(order, own_shape)
    turned_shape = tuple(own_shape[int(axis)] for axis in np.argsort(order[:, 0]))
    return turned_shape == tuple(shape) and same_grid(turned, affine, shape)


def _outside(own: np.ndarray, label: np.ndarray, affine: np.ndarray, shape: Sequence[int]) -> float:
    places = np.argwhere(label > 0)
    if not len(places):
        return 0.0
    matrix = np.linalg.solve(affine, own)
    reached = places @ matrix[:3, :3].T + matrix[:3, 3]
    inside = ((reached >= -0.5 - SAME_PLACE) & (reached <= np.asarray(shape) - 0.5 + SAME_PLACE)).all(axis=1)
    return 1 - float(inside.mean())
