"""From the grid of a file to that of the network and back, on arrays: what the task's grid steps say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kdseg.runtime.intensity import known
from kdseg.runtime.resampling import TOLERANCE, resampled, resized, resized_nearest, smoothed
from kdseg.task.steps import grid_steps
from kdseg.task.task import Task

__all__ = ["Undo", "on_network_grid"]

Undo = Callable[[np.ndarray, bool], np.ndarray]
"""Brings ``CWH[D]`` back, by the nearest voxel (True) or by linear interpolation."""
Moved = tuple[np.ndarray, np.ndarray, Undo]


def on_network_grid(task: Task, image: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, Undo]:
    """The image ``CWH[D]`` on the network's grid, and what brings a result back to the file's.

    Raises:
        UserError: for a step that needs torch.
    """
    undone: list[Undo] = []
    for step in grid_steps(task):
        settings = {key: value for key, value in step.items() if key not in ("_target_", "keys")}
        image, affine, undo = known(STEPS, step, task)(image, affine, **settings)
        undone.insert(0, undo)

    def back(values: np.ndarray, nearest: bool) -> np.ndarray:
        for undo in undone:
            values = undo(values, nearest)
        return values

    return image, back


def _smooth(image: np.ndarray, affine: np.ndarray, sigma: float) -> Moved:
    return smoothed(image, sigma), affine, lambda values, nearest: values


def _zoom(image: np.ndarray, affine: np.ndarray, zoom: float, **_: Any) -> Moved:
    before = image.shape[1:]
    after = [int(np.floor(side * zoom)) for side in before]
    return resized(image, after), affine, lambda values, nearest: resized(values, before)


def _orient(image: np.ndarray, affine: np.ndarray, axcodes: str, **_: Any) -> Moved:
    from nibabel import orientations

    turn = orientations.ornt_transform(orientations.io_orientation(affine), orientations.axcodes2ornt(axcodes))
    order, flips = turn[:, 0].astype(int), turn[:, 1]
    axes = tuple(axis + 1 for axis in range(3) if flips[axis] < 0)
    # axis order[i] of the result is axis i of the image
    places = np.argsort(order)
    turned = np.flip(image, axes).transpose(0, *(places + 1))

    def undo(values: np.ndarray, nearest: bool) -> np.ndarray:
        return np.flip(values.transpose(0, *(order + 1)), axes)

    return np.ascontiguousarray(turned), affine @ orientations.inv_ornt_aff(turn, image.shape[1:]), undo


def _space(image: np.ndarray, affine: np.ndarray, pixdim: Sequence[float], **_: Any) -> Moved:
    before = image.shape[1:]
    axes = affine[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    wanted = np.where(np.abs(lengths - pixdim) <= TOLERANCE, lengths, pixdim)
    # at right angles, where the axes of a tilted stack are not
    upper = np.linalg.cholesky(axes.T @ axes).T
    target = np.eye(4)
    target[:3, :3] = axes @ np.linalg.inv(upper) @ np.diag(np.sign(np.diag(upper)) * wanted)
    after, target[:3, 3] = _extent(before, affine, target)
    place = np.linalg.solve(affine, target)
    return (
        resampled(image, place, after, nearest=False),
        target,
        lambda values, nearest: resampled(values, np.linalg.solve(affine @ place, affine), before, nearest),
    )


def _extent(size: Sequence[int], affine: np.ndarray, target: np.ndarray) -> tuple[list[int], np.ndarray]:
    """The size of the new grid, and where its first voxel lies: all centres of the old voxels are within it."""
    corners = np.array(np.meshgrid(*[(0.0, side - 1.0) for side in size], indexing="ij")).reshape(3, -1)
    corners = np.concatenate([corners, np.ones((1, corners.shape[1]))])
    places = np.linalg.solve(target, affine @ corners)[:3]
    after = np.round(np.ptp(places, axis=1) + 1.0)
    for index in range(places.shape[1]):
        if np.allclose((places - places[:, index : index + 1]).min(axis=1), 0.0, rtol=TOLERANCE):
            return after.astype(int).tolist(), (affine @ corners)[:3, index]
    # no corner is the first along all axes: both centres are at one place
    centre = affine[:3, :3] @ (np.array(size) / 2.0) + affine[:3, 3]
    return after.astype(int).tolist(), centre - target[:3, :3] @ (after / 2.0)


def _resize(image: np.ndarray, affine: np.ndarray, spatial_size: Sequence[int], **_: Any) -> Moved:
    before = image.shape[1:]
    after = [wanted if wanted > 0 else side for wanted, side in zip(spatial_size, before, strict=True)]
    return (
        resized(image, after),
        affine,
        lambda values, nearest: (resized_nearest if nearest else resized)(values, before),
    )


STEPS: Mapping[str, Callable[..., Moved]] = {
    "GaussianSmoothd": _smooth,
    "Zoomd": _zoom,
    "Orientationd": _orient,
    "Spacingd": _space,
    "Resized": _resize,
}
"""Name of a transform → the same on an array and its affine, with what undoes it."""
