"""The figures of one case, and what is wrong with it by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from kdseg.data.checks.content import content_of_picture, content_of_volume, thumbnail
from kdseg.data.checks.findings import ERROR, LARGE, WARNING, Finding
from kdseg.data.checks.loading import LoadedCase
from kdseg.data.lists.datalist import IGNORED_NAME

__all__ = ["CaseMeasures", "Structure", "case_findings", "figure", "measure_case"]

HIDDEN = ("patient", "content", "thumbnail", "counts")
# the two ends of each axis
FACES = {
    3: (("left", "right"), ("posterior", "anterior"), ("inferior", "superior")),
    2: (("left", "right"), ("top", "bottom")),
}
# part of an image that the label of a thin or small structure never covers
LARGEST_LABEL = 0.5
# a label map has no more values, and most of its voxels have neighbours of their own value
MOST_CLASSES, SAME_NEIGHBOUR = 256, 0.8
# values looked at for percentiles: enough for two digits, and quick on a large volume
SAMPLED = 1_000_000


@dataclass(frozen=True)
class Structure:
    """One class in one case."""

    value: int  # its number
    size: float
    unit: str  # "ml" of a volume, "mm²" of a picture, "pixels" of a picture without spacing
    touches: tuple[str, ...]  # the borders of the image that it touches
    centre: tuple[float, ...]  # of its voxels, in mm to the right, anterior and head; of a picture in pixels


@dataclass(frozen=True)
class CaseMeasures:
    """The figures of one case; case, section, fold and patient are those of the data list."""

    case: str
    section: str
    fold: int | None
    patient: str | None = field(repr=False)  # for comparing only, never shown
    shape: tuple[int, ...]  # along the axes to the right, anterior and head; of a picture width and height
    spacing: tuple[float, ...] | None  # in the same order in mm, None where unknown
    orientation: str  # the axes as stored; empty for a picture
    intensity: dict[str, float]  # least, 1 %, median, 99 % and greatest value
    structures: dict[str, Structure]  # by their names; classes that are not there are left out
    labelled: bool  # whether there is a label that can be read
    content: str  # a hash of the image's values in RAS order: the same for DICOM, NIfTI and a flipped copy
    thumbnail: np.ndarray | None = field(repr=False)  # of a picture, to find near copies of it; None of a volume
    counts: Mapping[str, int]  # see LoadedCase

    def figures(self) -> dict[tuple[str, str, str], float]:
        """Every figure by what it is, of what, and its unit: those of a set are compared."""
        found: dict[tuple[str, str, str], float] = {}
        for axis, size in zip("xyz", self.shape, strict=False):
            found["size", f"along {axis}", "pixels"] = size
        for axis, length in zip("xyz", self.spacing or (), strict=False):
            found["spacing", f"along {axis}", "mm"] = length
        for name in ("p01", "median", "p99"):
            found["intensity", name, ""] = self.intensity[name]
        for name, structure in self.structures.items():
            found["size of a structure", name, structure.unit] = structure.size
        return found

    def as_dict(self) -> dict[str, Any]:
        """For JSON; without what is there for comparing only."""
        return {name: value for name, value in asdict(self).items() if name not in HIDDEN}


def measure_case(
    record: Mapping[str, Any], section: str, loaded: LoadedCase, labels: Mapping[str, str]
) -> CaseMeasures:
    """Measure a loaded case."""
    image = loaded.image
    sample = np.ravel(image)[:: max(1, image.size // SAMPLED)]
    low, median, high = (float(value) for value in np.nanpercentile(sample, [1, 50, 99]))
    ends = float(np.nanmin(image)), float(np.nanmax(image))
    return CaseMeasures(
        case=record["case"],
        section=section,
        fold=record.get("fold"),
        patient=record.get("patient"),
        shape=image.shape,
        spacing=tuple(round(length, 4) for length in loaded.spacing) if loaded.spacing_known else None,
        orientation=loaded.orientation,
        intensity={"min": ends[0], "p01": low, "median": median, "p99": high, "max": ends[1]},
        structures={} if loaded.label is None else _structures(loaded, loaded.label, labels),
        labelled=loaded.label is not None,
        content=content_of_volume(image, loaded.affine) if image.ndim == 3 else content_of_picture(image),
        thumbnail=thumbnail(image) if image.ndim == 2 else None,
        counts=loaded.counts,
    )


def case_findings(measures: CaseMeasures, loaded: LoadedCase, labels: Mapping[str, str]) -> list[Finding]:
    """What is wrong with a case by itself."""
    found = list(loaded.findings)

    def add(grade: str, kind: str, text: str) -> None:
        found.append(Finding(grade, kind, (measures.case,), text))

    intensity = measures.intensity
    if intensity["min"] == intensity["max"]:
        add(ERROR, "image of a single value", f"all of it is {intensity['min']:g}")
    elif looks_like_a_mask(loaded.image):
        add(ERROR, "image that looks like a mask", "few values, in areas of one value each")
    if loaded.orientation and np.array_equal(loaded.affine, np.eye(4)):
        add(WARNING, "affine of the image is the identity", "voxels of 1 mm at the origin: it was probably lost")
    if loaded.label is not None:
        found += _label_findings(measures, loaded.label, labels)
    structures = measures.structures
    for right, left in ((name, name.replace("right", "left")) for name in structures if "right" in name):
        both = measures.orientation and left in structures
        if both and structures[right].centre[0] <= structures[left].centre[0]:
            text = f"{right} lies to the left of {left}: image, label or affine is mirrored"
            add(ERROR, "left and right exchanged", text)
    return found


def _label_findings(measures: CaseMeasures, label: np.ndarray, labels: Mapping[str, str]) -> list[Finding]:
    ignored = [int(value) for value, name in labels.items() if name == IGNORED_NAME]
    counted = label[~np.isin(label, ignored)] if ignored else label
    unnamed = [str(value) for value in np.unique(label) if labels and str(value) not in labels]
    covered = float((counted > 0).mean()) if counted.size else 0.0
    empty = ERROR if label.ndim == 3 else WARNING
    names = f"{', '.join(unnamed[:8])}; named are {', '.join(labels)}"
    much = f"the mask covers {covered:.0%} of the image; it seems to be inverted"
    told = [
        (bool(unnamed), ERROR, "label values without a name", names),
        (not counted.size, ERROR, "label that is ignored everywhere", "every pixel of the mask is to be ignored"),
        (bool(counted.size) and covered == 0, empty, "empty label", "the mask is empty: nothing but background"),
        (covered > LARGEST_LABEL, WARNING, LARGE, much),
    ]
    return [Finding(grade, kind, (measures.case,), text) for wrong, grade, kind, text in told if wrong]


def looks_like_a_mask(image: np.ndarray) -> bool:
    """Whether an image has two values, or few whole ones in areas of one value each: a mask that was taken for one.

    Example:
        >>> areas, noise = np.repeat(np.arange(4), 5)[:, None], np.arange(40).reshape(8, 5) % 7
        >>> looks_like_a_mask(areas * np.ones(6)), looks_like_a_mask(noise)
        (True, False)
    """
    values = np.unique(image)
    # pictures are scaled to [0, 1]
    scaled = image * 255 if values[-1] <= 1 else image
    if len(values) <= 2:
        return True
    if len(values) > MOST_CLASSES or np.abs(scaled - np.rint(scaled)).max() > 1e-3:
        return False
    # of pairs of neighbours: the background of an image, and what is overexposed, is of one value too
    inner = (image[1:] > values[0]) & (image[1:] < values[-1])
    return bool(inner.any()) and float((image[1:] == image[:-1])[inner].mean()) > SAME_NEIGHBOUR


def figure(value: float) -> str:
    """A number as people read it: three digits, and no powers of ten for what is large.

    Example:
        >>> figure(0.97656), figure(43.19), figure(1126.4)
        ('0.977', '43.2', '1126')
    """
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _structures(loaded: LoadedCase, label: np.ndarray, labels: Mapping[str, str]) -> dict[str, Structure]:
    from skimage.measure import regionprops

    voxel = float(np.prod(loaded.spacing))
    unit, share = ("ml", voxel / 1000) if label.ndim == 3 else ("mm²", voxel) if loaded.spacing_known else ("pixels", 1)
    found = {}
    for region in regionprops(np.maximum(label, 0)):
        name = labels.get(str(region.label), f"value {region.label}")
        if name == IGNORED_NAME:
            continue
        ends = zip(FACES[label.ndim], region.bbox[: label.ndim], region.bbox[label.ndim :], label.shape, strict=True)
        touches = [
            face
            for (low, high), start, stop, size in ends
            for face, at in ((low, start == 0), (high, stop == size))
            if at
        ]
        centre = (loaded.affine @ [*region.centroid, 1])[:3] if label.ndim == 3 else region.centroid
        place = tuple(round(float(length), 2) for length in centre)
        found[name] = Structure(int(region.label), float(f"{region.area * share:.6g}"), unit, tuple(touches), place)
    return found
