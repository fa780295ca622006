"""Saves predicted masks in the form of their input: PNG for pictures, NIfTI with spacing for DICOM and NIfTI."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection, PathLike
from monai.data import MetaTensor
from monai.transforms import MapTransform
from monai.utils import MetaKeys, convert_data_type

from kdseg.masks import OutputNames, mask_of, save_mask
from kdseg.masks.save import formats_of

__all__ = ["SaveMaskd"]


class SaveMaskd(MapTransform):
    """Saves masks as ``<output_dir>/<folders of the input>/<stem>_<postfix>.png``, or ``.nii.gz``.

    Name, file type and spacing come from the image that the mask was predicted from (read by kdseg's readers). A
    picture's mask is a PNG: 0 and 255 of one class, the class numbers of several; that of a DICOM or NIfTI file is
    NIfTI, uint8, with its affine. Several frames, which are channels ``(F, W, H)``, become one NIfTI file
    ``(W, H, 1, F)``. Names of the classes stand in the file: as JSON in a text chunk "kdseg" of a PNG, in a comment of
    a NIfTI header. Files are written under a temporary name and renamed. Two inputs never share an output: folders
    below ``data_root_dir`` are mirrored, and where a name is taken by another input all the same (``7.png`` and
    ``7.jpg``), a piece of the path's hash is added.

    Args:
        keys: of the masks ``(C, W, H[, D])``, class numbers.
        output_dir: where to write; every file is below it.
        data_root_dir: the folder of the inputs, whose sub-folders are mirrored.
        output_postfix: appended to the input's stem; not empty, so that a mask never takes the place of its image.
        image_key: the image that the masks belong to.
        labels: number → name of the classes.
        overwrite: replace a file that was there before this object.
        allow_missing_keys: whether a missing key is passed over.

    Raises:
        UserError: when the mask is not of the size of the file, or holds no class numbers, when there is a file in its
            place, or it cannot be written.
    """

    def __init__(
        self,
        keys: KeysCollection,
        output_dir: PathLike,
        data_root_dir: PathLike = "",
        output_postfix: str = "mask",
        image_key: str = "image",
        labels: Mapping[str, str] | None = None,
        overwrite: bool = False,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.names = OutputNames(Path(output_dir), output_postfix)
        self.data_root_dir = Path(data_root_dir) if str(data_root_dir) else None
        self.image_key = image_key
        self.labels = dict(labels or {"0": "background", "1": "foreground"})
        self.overwrite = overwrite
        self.written: set[Path] = set()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        result = dict(data)
        meta = result[self.image_key].meta
        for key in self.key_iterator(result):
            path = self.save(result[key], meta)
            if isinstance(result[key], MetaTensor):
                result[key].meta[MetaKeys.SAVED_TO] = str(path)
        return result

    def save(self, mask: torch.Tensor | np.ndarray, meta: Mapping[str, Any]) -> Path:
        """Write one mask ``(C, W, H[, D])`` for the image whose meta data these are; the path it went to."""
        made = mask_of(convert_data_type(mask, np.ndarray)[0], meta, self.labels)
        (form,) = formats_of(made)
        path = self.names.path(made.source, form.suffix, self.data_root_dir)
        # what this object wrote before may be written again
        overwrite = self.overwrite or path in self.written
        save_mask(made, self.names, root=self.data_root_dir, overwrite=overwrite)
        self.written.add(path)
        return path
