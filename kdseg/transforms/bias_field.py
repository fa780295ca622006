"""N4 bias-field correction of MRI."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import convert_to_dst_type

from kdseg.errors import UserError

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
        if find_spec("SimpleITK") is None:
            fix = "pip install 'kdseg[n4]'"
            raise UserError("n4", found="no package 'SimpleITK'", expected="it, for the bias field", fix=fix)
        self.shrink = shrink
        self.iterations = [int(number) for number in iterations]

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        for key in self.key_iterator(result):
            image = result[key]
            spacing = image.pixdim.tolist() if isinstance(image, MetaTensor) else [1.0] * (image.ndim - 1)
            channels = [self._corrected(np.asarray(torch.as_tensor(channel)), spacing) for channel in image]
            result[key] = convert_to_dst_type(np.stack(channels), image)[0]
        return result

    def _corrected(self, channel: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
        import SimpleITK

        values = channel.astype(np.float32)
        lowest = float(values.min())
        # SimpleITK's order of axes is the reverse of the array's
        image = SimpleITK.GetImageFromArray(values - lowest + 1)
        image.SetSpacing([float(length) for length in reversed(spacing)])
        factors = [1 if values.ndim == 3 and axis == 0 else self.shrink for axis in range(values.ndim)]
        small = SimpleITK.Shrink(image, factors)
        corrector = SimpleITK.N4BiasFieldCorrectionImageFilter()
        corrector.SetMaximumNumberOfIterations(self.iterations)
        corrector.Execute(small, SimpleITK.OtsuThreshold(small, 0, 1))
        field = np.exp(SimpleITK.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(image)))
        return (values - lowest + 1) / field
