"""Masks as files, without torch: PNG for pictures, NIfTI with spacing for DICOM and NIfTI."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kdseg._version import __version__
from kdseg.data.open import NIFTI_SUFFIXES, file_stem
from kdseg.errors import UserError
from kdseg.files import whole_file

__all__ = ["MaskFiles"]

# what a file of ours is known by
MARK = "kdseg"


class MaskFiles:
    """Writes masks as :class:`kdseg.transforms.SaveMaskd` does, which is this for MONAI.

    Args:
        output_dir, data_root_dir, output_postfix, labels, overwrite: see there.

    Raises:
        UserError: see there.
    """

    def __init__(
        self,
        output_dir: str | os.PathLike[str],
        data_root_dir: str | os.PathLike[str] = "",
        output_postfix: str = "mask",
        labels: Mapping[str, str] | None = None,
        overwrite: bool = False,
    ) -> None:
        if not output_postfix:
            raise UserError("output_postfix", found="''", expected="a word such as 'mask'", fix="leave it out")
        self.output_dir = Path(output_dir)
        self.data_root_dir = Path(data_root_dir) if str(data_root_dir) else None
        self.output_postfix = output_postfix
        self.labels = dict(labels or {"0": "background", "1": "foreground"})
        self.overwrite = overwrite
        self.taken: dict[Path, Path] = {}
        self.written: set[Path] = set()

    def save(self, mask: np.ndarray, meta: Mapping[str, Any]) -> Path:
        """Write one mask ``(C, W, H[, D])`` for the image whose meta data these are; the path it went to."""
        source, array = Path(str(meta["filename_or_obj"])), np.asarray(mask)
        is_picture = str(meta["file_format"]) == "picture" and array.shape[0] == 1
        self._check(array, tuple(int(size) for size in meta["spatial_shape"]), source.name)
        path = self._path(source, ".png" if is_picture else ".nii.gz")
        if path.exists() and not self.overwrite and path not in self.written:
            fix = "name another folder, or replace it with --overwrite"
            raise UserError(path, found="a file that is there already", expected="none in the mask's place", fix=fix)
        self.written.add(path)
        with whole_file(path) as temporary:
            if is_picture:
                self._write_picture(array[0].astype(np.uint8), temporary)
            else:
                self._write_volume(array.astype(np.uint8), np.asarray(meta["original_affine"]), temporary)
        return path

    @staticmethod
    def is_marked(path: Path) -> bool:
        """Whether a file is a mask that was written by this class."""
        try:
            if path.suffix.lower() == ".png":
                from PIL import Image

                with Image.open(path) as picture:
                    return MARK in picture.info
            if path.name.lower().endswith(NIFTI_SUFFIXES):
                import nibabel

                return any(MARK in str(part.get_content()) for part in nibabel.load(path).header.extensions)  # type: ignore[attr-defined]
        except Exception:
            # whatever is wrong with it: it is none of ours
            return False
        return False

    def _write_picture(self, values: np.ndarray, path: Path) -> None:
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo

        text = PngInfo()
        text.add_text(MARK, self._words())
        # MONAI's axes are (W, H), a picture's array is (H, W)
        Image.fromarray((values * (255 if len(self.labels) == 2 else 1)).T).save(path, pnginfo=text)

    def _write_volume(self, values: np.ndarray, affine: np.ndarray, path: Path) -> None:
        import nibabel

        # frames are a series in time
        spatial = values[0] if len(values) == 1 else values.transpose(1, 2, 0)[:, :, None]
        image = nibabel.Nifti1Image(np.ascontiguousarray(spatial), affine)
        comment = nibabel.nifti1.Nifti1Extension("comment", json.dumps({MARK: self._words()}).encode())
        image.header.extensions.append(comment)
        nibabel.save(image, path)

    def _words(self) -> str:
        return json.dumps({"version": __version__, "labels": self.labels}, ensure_ascii=True)

    def _check(self, array: np.ndarray, size: tuple[int, ...], name: str) -> None:
        if array.shape[1:] != size:
            raise UserError(
                name,
                found=f"a mask of size {'×'.join(map(str, array.shape[1:]))}",
                expected=f"the size of the file, {'×'.join(map(str, size))}",
                fix="invert the spatial transforms before saving (Invertd)",
            )
        greatest = max(map(int, self.labels))
        # not np.isin, which sorts the whole volume
        if array.min() < 0 or array.max() > greatest or not (array == np.rint(array)).all():
            raise UserError(
                name,
                found=f"values from {array.min():g} to {array.max():g}",
                expected=f"whole numbers from 0 to {greatest}",
                fix="turn probabilities into classes before saving (AsDiscreted)",
            )

    def _path(self, source: Path, suffix: str) -> Path:
        source = source.absolute()
        folder = self.output_dir
        # of its folder, not of itself: the root may be the one file that is segmented, and then nothing is mirrored
        if self.data_root_dir is not None and source.parent.is_relative_to(self.data_root_dir.absolute()):
            folder = folder / source.parent.relative_to(self.data_root_dir.absolute())
        name = f"{file_stem(source)}_{self.output_postfix}"
        path = folder / f"{name}{suffix}"
        if self.taken.setdefault(path, source) != source:
            path = folder / f"{name}_{hashlib.sha256(str(source).encode()).hexdigest()[:8]}{suffix}"
        return path
