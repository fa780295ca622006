"""Images as programs hold them, and masks of the same kind: arrays, pairs with an affine, nibabel, SimpleITK, files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kdseg.data.formats.frame_source import LUMINANCE
from kdseg.data.formats.pictures import natural_limits
from kdseg.errors import UserError
from kdseg.task.task import Task

__all__ = ["as_mask", "from_program"]

# SimpleITK speaks of the left and the back, nibabel and MONAI of the right and the front
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def from_program(image: Any, task: Task) -> tuple[np.ndarray, dict[str, Any]]:
    """An image ``CWH[D]`` in float32 with its meta data, as the readers of files give them.

    Raises:
        UserError: for another kind of object, or another number of axes than the task's images have.
    """
    picture = task.kind == "picture"
    array, affine = _array(image, picture)
    if picture and array.ndim in (2, 3) and (array.ndim == 2 or array.shape[-1] == 3):
        low, high = natural_limits([array])
        values = np.clip((array.astype(np.float32) - low) / (high - low), 0, 1)
        if task.colour:
            values = np.repeat(values[..., None], 3, axis=-1) if values.ndim == 2 else values
            channels = values.transpose(2, 1, 0)
        else:
            channels = (values @ LUMINANCE if values.ndim == 3 else values).T[None]
    elif not picture and array.ndim == 3:
        channels = array.astype(np.float32)[None]
    else:
        expected = "HW, or HW3 in colour" if picture else "WHD"
        fix = f"give one image of the task '{task.name}' at a time"
        raise UserError("image", found=f"an array of {array.ndim} axes", expected=expected, fix=fix)
    return np.ascontiguousarray(channels), {
        "affine": affine,
        "original_affine": affine,
        "spatial_shape": np.asarray(channels.shape[1:]),
        "space": "RAS",
        "file_format": "picture" if picture else "nifti",
    }


def _array(image: Any, picture: bool) -> tuple[np.ndarray, np.ndarray]:
    kind = type(image).__module__.split(".")[0]
    if kind == "nibabel":
        array = np.asarray(image.dataobj)
        # its axes are W, H and, of a picture, one slice
        flat = array.reshape(array.shape[:2]).T if picture and array.size == np.prod(array.shape[:2]) else array
        return flat, np.asarray(image.affine, dtype=np.float64)
    if kind == "SimpleITK":
        import SimpleITK

        direction = np.asarray(image.GetDirection()).reshape(image.GetDimension(), -1)
        affine = np.eye(4)
        dims = image.GetDimension()
        affine[:dims, :dims] = direction * image.GetSpacing()
        affine[:dims, 3] = image.GetOrigin()
        array = SimpleITK.GetArrayFromImage(image)
        # its arrays run from the last axis to the first; a picture HW is so too
        return (array.T if dims == 3 else array), LPS_TO_RAS @ affine
    if isinstance(image, (tuple, list)) and len(image) == 2 and np.shape(image[1]) == (4, 4):
        return np.asarray(image[0]), np.asarray(image[1], dtype=np.float64)
    if isinstance(image, np.ndarray) or kind in ("torch", "monai"):
        return np.asarray(image), np.eye(4)
    expected = "a path, an array, a pair of array and affine, a nibabel or a SimpleITK image"
    raise UserError("image", found=f"a {type(image).__name__}", expected=expected, fix="convert it to one of these")


def as_mask(mask: np.ndarray, image: Any, meta: Mapping[str, Any]) -> Any:
    """The mask ``CWH[D]``, class numbers, as the kind of thing that ``image`` is."""
    values = mask.astype(np.uint8)
    kind = type(image).__module__.split(".")[0]
    volume = values.ndim == 4
    # pictures are HW where programs hold them
    plain = values[0] if volume else values[0].T
    if kind == "SimpleITK":
        import SimpleITK

        result = SimpleITK.GetImageFromArray(plain.T if volume else plain)
        result.CopyInformation(image)
        return result
    if kind == "nibabel":
        import nibabel

        return nibabel.Nifti1Image(plain if volume else values[0][..., None], image.affine)
    if isinstance(image, (tuple, list)):
        return plain, np.asarray(image[1])
    if kind in ("torch", "monai"):
        import torch

        return torch.from_numpy(plain)
    if isinstance(image, np.ndarray):
        return plain
    if not volume and len(values) == 1 and meta["file_format"] == "picture":
        from PIL import Image

        return Image.fromarray(plain)
    import nibabel

    # frames of a cine: (W, H, 1, F), as a series in time
    frames = values[0] if volume else values.transpose(1, 2, 0)[:, :, None]
    return nibabel.Nifti1Image(np.ascontiguousarray(frames), np.asarray(meta["original_affine"]))
