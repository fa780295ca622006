"""N4 bias-field correction of MRI."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type

from kdseg.transforms.arrays import check_simpleitk, corrected_bias_field

__all__ = ["N4BiasFieldCorrectiond"]


class N4BiasFieldCorrectiond(MapTransform):
    """Divides out the slow change of brightness that a coil leaves in an MR image (N4ITK, Tustison et al., 2010).

    Computed by SimpleITK on a reduced grid within Otsu's mask; the field is then taken at full resolution. Values are
    shifted to be positive for it. It takes seconds a volume: cache it.

    Args:
        keys: of the images ``CWHD`` or ``CWH``, each channel by itself.
        shrink: the field is estimated on every so-manieth voxel within a slice.
        iterations: at each of the levels of the spline grid.
        allow_missing_keys: whether a missing key is passed over.

    Raises:
        UserError: when SimpleITK is not installed; it is large, and nothing else needs it.

    Example:
        >>> record = {"image": torch.rand(1, 16, 16, 4) + torch.linspace(1, 3, 16)[:, None, None]}
        >>> N4BiasFieldCorrectiond("image", shrink=2, iterations=[5])(record)["image"].shape
        torch.Size([1, 16, 16, 4])
    """

    def __init__(
        self,
        keys: KeysCollection,
        shrink: int = 4,
        iterations: Sequence[int] = (50, 50, 30),
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        check_simpleitk()
        self.shrink = shrink
        self.iterations = iterations

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        for key in self.key_iterator(result):
            image = result[key]
            spacing = image.pixdim.tolist() if isinstance(image, MetaTensor) else [1.0] * (image.ndim - 1)
            plain = np.asarray(torch.as_tensor(image))
            done = corrected_bias_field(plain, spacing, self.shrink, self.iterations)
            result[key] = convert_to_dst_type(done, image)[0]
        return result
