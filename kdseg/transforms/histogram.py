"""Contrast-limited adaptive histogram equalisation (CLAHE)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, convert_data_type, convert_to_dst_type

from kdseg.transforms.arrays import equalised

__all__ = ["ContrastLimitedHistogramEqualisation", "ContrastLimitedHistogramEqualisationd"]


class ContrastLimitedHistogramEqualisation(Transform):
    """CLAHE of each channel by itself: evens out exposure, so that thin vessels show in dark and in bright regions.

    Computed by ``skimage.exposure.equalize_adapthist`` (Zuiderveld, Graphics Gems IV, 1994). The input's own range is
    stretched first, so depth and window of the file matter little afterwards. A channel of a single grey is left as
    it is.

    Args:
        clip_limit: in (0, 1]; the higher, the more contrast, and noise.
        tile: size of a tile in pixels, one number or one per axis; None: an eighth of the picture along each axis.

    Shapes:
        input and output ``(C, H, W[, D])``, values in [0, 1].

    Raises:
        UserError: for values outside [0, 1].

    Example:
        >>> image = torch.linspace(0.4, 0.6, 64 * 64).reshape(1, 64, 64)
        >>> bool(ContrastLimitedHistogramEqualisation()(image).std() > image.std())
        True
    """

    def __init__(self, clip_limit: float = 0.01, tile: int | Sequence[int] | None = None) -> None:
        self.backend = [TransformBackends.NUMPY]
        self.clip_limit = clip_limit
        self.tile = tile

    def __call__(self, img: NdarrayOrTensor) -> NdarrayOrTensor:
        array: np.ndarray = convert_data_type(img, np.ndarray, dtype=np.float32)[0]
        done = equalised(array, self.clip_limit, self.tile)
        return convert_to_dst_type(done, img, dtype=torch.float32)[0]


class ContrastLimitedHistogramEqualisationd(MapTransform):
    """Dictionary form of :class:`ContrastLimitedHistogramEqualisation`.

    Args:
        keys: of the images.
        clip_limit, tile: see there.
        allow_missing_keys: whether a missing key is passed over.
    """

    def __init__(
        self,
        keys: KeysCollection,
        clip_limit: float = 0.01,
        tile: int | Sequence[int] | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.equalisation = ContrastLimitedHistogramEqualisation(clip_limit, tile)
        self.backend = self.equalisation.backend

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.equalisation(result[key])
        return result
