"""Loads the labels of a loaded image from NIfTI, DICOM SEG or RTSTRUCT, on the image's grid."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import ImageMetaKey, MetaKeys, SpaceKeys

from kdseg.data.volumes.labels import read_label
from kdseg.errors import UserError

__all__ = ["LoadLabeld"]


class LoadLabeld(MapTransform):
    """Replaces paths of label files by label maps on the grid of an image that is loaded already.

    Place it directly after ``LoadImaged`` of the image. LoadImaged itself reads one file at a time, and cannot know the
    grid on which contours are to be filled or a label with another orientation belongs. A NIfTI label on the image's
    own grid comes out as LoadImaged gives it, float32 ``(1, W, H, D)``.

    Args:
        keys: of the paths.
        image_key: the image, a MetaTensor ``([1,] W, H, D)``.
        names: for SEG and RTSTRUCT: structure's name to value, see :func:`kdseg.data.read_label`.
        values: that a label may have; None: any.
        absent: for SEG and RTSTRUCT: "refuse" or "empty", for structures of ``names`` that a file lacks.
        allow_missing_keys: whether a missing key is passed over.

    Raises:
        UserError: when the image is not loaded yet, a label is missing or has another value, or as
            :func:`kdseg.data.read_label`.

    Example:
        >>> import tempfile, nibabel; from pathlib import Path
        >>> path = Path(tempfile.mkdtemp()) / "label.nii.gz"
        >>> nibabel.save(nibabel.Nifti1Image(np.ones((4, 5, 6), np.uint8), np.eye(4)), path)
        >>> image = MetaTensor(torch.zeros(1, 4, 5, 3), affine=torch.diag(torch.tensor([1.0, 1.0, 2.0, 1.0])))
        >>> tuple(LoadLabeld("label")({"image": image, "label": path})["label"].shape)
        (1, 4, 5, 3)
    """

    def __init__(
        self,
        keys: KeysCollection,
        image_key: str = "image",
        names: Mapping[str, int] | None = None,
        values: Sequence[int] | None = None,
        absent: str = "refuse",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.image_key = image_key
        self.names = names
        self.values = None if values is None else [int(value) for value in values]
        self.absent = absent

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        image = result[self.image_key]
        if not isinstance(image, MetaTensor) or image.ndim < 3:
            found, expected = f"a {type(image).__name__}", "a loaded volume with its affine"
            fix = "place LoadLabeld after LoadImaged of the image"
            raise UserError(f"LoadLabeld, '{self.image_key}'", found=found, expected=expected, fix=fix)
        affine, shape = np.asarray(image.affine, dtype=np.float64), tuple(image.shape[-3:])
        origin = {name: str(image.meta.get(name, "")) for name in ("series", "frame_of_reference")}
        for key in self.keys:
            if key not in result:
                self._check_missing(key, result)
                continue
            path = result[key]
            label = read_label(path, affine, shape, self.names, self.absent, **origin)
            self._check_values(label, Path(path).name)
            meta = {
                ImageMetaKey.FILENAME_OR_OBJ: str(path),
                MetaKeys.ORIGINAL_AFFINE: affine,
                MetaKeys.SPATIAL_SHAPE: np.asarray(shape),
                MetaKeys.ORIGINAL_CHANNEL_DIM: 0,
                MetaKeys.SPACE: SpaceKeys.RAS,
            }
            values = torch.from_numpy(label[None].astype(np.float32))
            result[key] = MetaTensor(values, affine=torch.from_numpy(affine), meta=meta)
        return result

    def _check_missing(self, key: Hashable, record: Mapping[Hashable, Any]) -> None:
        if not self.allow_missing_keys:
            found, expected = f"no '{key}'", "a label: this section is trained or measured on"
            fix = "add its label to the data list, or move the case to the section 'unlabelled'"
            raise UserError(f"case {record.get('case', 'without a name')}", found=found, expected=expected, fix=fix)

    def _check_values(self, label: np.ndarray, name: str) -> None:
        unknown = [] if self.values is None else sorted(set(np.unique(label).tolist()) - set(self.values))
        if unknown:
            found = f"label values without a name: {', '.join(map(str, unknown[:5]))}"
            fix = "name them there (what is no class becomes background), or mend the label"
            raise UserError(name, found=found, expected='values that the data list names in "labels"', fix=fix)
