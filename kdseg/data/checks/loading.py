"""A case of a data list, opened: a picture or a volume in RAS order, its label on the same grid, and its faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kdseg.data.checks.findings import ERROR, Finding
from kdseg.data.checks.grids import compare_grids
from kdseg.data.formats.dicom.headers import open_header
from kdseg.data.formats.dicom.label_header import LABEL_MODALITIES, read_label_header
from kdseg.data.formats.dicom.structures import values_to_paint
from kdseg.data.formats.nifti import read_nifti
from kdseg.data.frames.mask_reader import MaskReader, mask_values
from kdseg.data.frames.picture_reader import PictureReader
from kdseg.data.lists.classes import mask_settings, structure_names
from kdseg.data.open import NIFTI_SUFFIXES, file_kind
from kdseg.data.volumes.labels import read_label
from kdseg.data.volumes.reader import VolumeReader
from kdseg.errors import UserError
from kdseg.losses import IGNORED

__all__ = ["LoadedCase", "load_case"]

# DICOM modalities whose files are slices of volumes, or labels of these, which the reader of volumes refuses as images
VOLUME_MODALITIES = ("CT", "MR", "PT", *LABEL_MODALITIES)
# one grey level that fills this part of what is not background is a class of its own, not the soft edge of another;
# so is one that fills the lesser part, far from black and white, where hardly any other grey occurs
EXTRA_CLASS = 0.2
LONE_CLASS = 0.01
LONE = 0.9
NEAR = 0.1


@dataclass(frozen=True)
class LoadedCase:
    """What is measured and shown of a case."""

    image: np.ndarray  # float32; a volume in axes that run to the right, anterior and head, a picture (W, H)
    label: np.ndarray | None  # class numbers on the same grid, or None where there is none or it cannot be read
    affine: np.ndarray  # 4×4 of the image, in mm; of a picture only the spacing in it counts
    orientation: str  # the axes as stored, such as "LPS"; empty for a picture
    spacing_known: bool  # whether the affine speaks of mm
    findings: tuple[Finding, ...]  # what is wrong with the files
    # what a data list says of the case: "frame_count", or "slices" and "labelled_slices" along the last axis
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def spacing(self) -> tuple[float, ...]:
        """In mm, or in pixels where it is not known."""
        return tuple(float(length) for length in np.linalg.norm(self.affine[:3, : self.image.ndim], axis=0))


def load_case(
    record: Mapping[str, Any], labels: Mapping[str, str], frame: int | str, level: int = 0, kind: str | None = None
) -> LoadedCase:
    """Open the files of a record. A label that cannot be read is a finding, since the image can still be judged.

    Args:
        record: with "image", "case" and perhaps "label"; absolute paths.
        labels: value → name, as the data list has it; may be empty.
        frame: of a cine, as in PictureReader.
        level: of whole-slide files, as in PictureReader.
        kind: "picture" or "volume"; None: as the file looks.

    Raises:
        UserError: when the image cannot be read.
    """
    image = Path(record["image"])
    if (kind or ("volume" if _is_volume(image) else "picture")) == "volume":
        return _load_volume(record, image, labels)
    return _load_picture(record, image, labels, frame, level)


def _is_volume(path: Path) -> bool:
    if path.is_dir():
        return True
    if path.name.lower().endswith(NIFTI_SUFFIXES):
        array, _ = read_nifti(path)
        return array.ndim > 2 and array.shape[2] > 1
    if path.is_file() and file_kind(path) == "dicom":
        return open_header(path, ["Modality"]).get("Modality") in VOLUME_MODALITIES
    return False


def _load_volume(record: Mapping[str, Any], path: Path, labels: Mapping[str, str]) -> LoadedCase:
    import nibabel

    array, meta = VolumeReader().get_data([path])
    affine = meta["affine"]
    findings: list[Finding] = []
    label = None
    if "label" in record:
        label_path = Path(record["label"])
        try:
            origin = {name: str(meta.get(name, "")) for name in ("series", "frame_of_reference")}
            names = structure_names(labels) or None
            label = read_label(label_path, affine, array.shape, names, "empty", **origin)
            if label_path.name.lower().endswith(NIFTI_SUFFIXES):
                findings += compare_grids(record["case"], affine, array.shape, *read_nifti(label_path)[::-1])
            else:
                _check_structures(label_path, names)
        except UserError as error:
            label = None
            findings.append(Finding(ERROR, "label unusable", (record["case"],), error.found))
    counts = {"slices": array.shape[2]}
    if label is not None:
        counts["labelled_slices"] = int((label > 0).any(axis=(0, 1)).sum())
    orientation = nibabel.io_orientation(affine)
    codes = "".join(nibabel.aff2axcodes(affine))
    affine = affine @ nibabel.orientations.inv_ornt_aff(orientation, array.shape)
    array = nibabel.apply_orientation(array, orientation)
    label = None if label is None else nibabel.apply_orientation(label, orientation)
    return LoadedCase(array, label, affine, codes, True, tuple(findings), counts)


def _check_structures(path: Path, names: Mapping[str, int] | None) -> None:
    present = read_label_header(path).names
    if not values_to_paint(list(enumerate(present, 1)), names, "empty", path.name):
        found = f"the structures {', '.join(map(repr, present))}, none of which the list names"
        raise UserError(path.name, found=found, expected="structures of the list's labels", fix="name them in the list")


def _load_picture(
    record: Mapping[str, Any], path: Path, labels: Mapping[str, str], frame: int | str, level: int
) -> LoadedCase:
    array, meta = PictureReader(frame=frame, level=level).get_data([path])
    image = array[0]
    findings: list[Finding] = []
    label = None
    if "label" in record:
        mask = Path(record["label"])
        reader = MaskReader(frame=frame, level=level, **mask_settings(labels))
        try:
            label = reader.get_data([mask])[0][0].astype(np.int16)
            if reader.ignored is not None:
                # the number that the list names
                label[label == IGNORED] = reader.ignored
            if label.shape != image.shape:
                sizes = ["×".join(map(str, shape)) for shape in (label.shape, image.shape)]
                text = f"the mask is {sizes[0]} pixels and the image {sizes[1]}"
                findings.append(Finding(ERROR, "label of another size", (record["case"],), text))
                label = None
            elif third := _third_value(reader, mask):
                findings.append(Finding(ERROR, "label of three values", (record["case"],), third))
        except UserError as error:
            findings.append(Finding(ERROR, "label unusable", (record["case"],), error.found))
    counts = {"frame_count": int(meta["frame_count"])}
    return LoadedCase(image, label, meta["affine"], "", bool(meta["spacing_known"]), tuple(findings), counts)


def _third_value(reader: MaskReader, path: Path) -> str | None:
    """What to say of a mask of two values that has a third."""
    if reader.values is not None:
        return None
    source = reader.open_file(path)
    levels, counts = np.unique(mask_values(source, int(reader.frame) if source.count > 1 else 0), return_counts=True)
    counted = levels != reader.ignored
    levels, counts = levels[counted], counts[counted]
    extra = dict(zip(levels[1:-1], counts[1:-1], strict=True))
    largest = max(extra, key=lambda level: extra[level], default=None)
    if largest is None:
        return None
    depth = float(levels[-1] - levels[0])
    lone = extra[largest] > LONE * sum(extra.values()) and NEAR < (largest - levels[0]) / depth < 1 - NEAR
    if extra[largest] / counts[1:].sum() <= (LONE_CLASS if lone else EXTRA_CLASS):
        return None
    return (
        f"the mask has a third value {largest:g}, expected background and one class only; "
        f"--ignored {largest:g} leaves such pixels out, --label-names {largest:g}=NAME makes it a class"
    )
