"""Which of several volumes in a folder is wanted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kdseg.data.formats.dicom.series import DicomSeries
from kdseg.errors import UserError, suggestion

__all__ = ["choose_series"]


def choose_series(
    volumes: Sequence[DicomSeries],
    *,
    description: str | None = None,
    modality: str | None = None,
    plane: str | None = None,
    part: str | None = None,
    choose: str = "only",
    where: str = "DICOM folder",
) -> DicomSeries:
    """The one volume that is wanted.

    Args:
        volumes: to choose from.
        description: a piece of the series' description; capitals do not matter.
        modality: such as "CT".
        plane: "axial", "coronal" or "sagittal".
        part: a piece of what tells parts of a series apart, such as "acquisition 2"; capitals do not matter.
        choose: "only": exactly one may be left; "largest": the one of the most voxels. Refused series count for
            "largest" only if all are refused.
        where: the folder's or file's name, for messages.

    Raises:
        UserError: when none is left, or more than one; what is there is listed.

    Example:
        >>> from pydicom.data import get_testdata_file
        >>> from kdseg.data import dicom_series
        >>> volumes = dicom_series([get_testdata_file(name) for name in ("CT_small.dcm", "MR_small.dcm")])
        >>> choose_series(volumes, modality="MR").spacing
        (0.3125, 0.3125, 0.8)
    """
    if choose not in ("only", "largest"):
        found = f"'{choose}'"
        raise UserError("choose", found=found, expected="only or largest", fix=suggestion(choose, ["only", "largest"]))
    wanted = {"description": description, "part": part, "modality": modality, "plane": plane}
    asked = {name: value for name, value in wanted.items() if value}
    left = [
        volume
        for volume in volumes
        if all(
            _fits(getattr(volume, name), value, whole=name in ("modality", "plane")) for name, value in asked.items()
        )
    ]
    if choose == "largest" and left:
        usable = [volume for volume in left if not volume.refusal] or left
        return max(usable, key=lambda volume: int(np.prod(volume.shape)))
    if len(left) == 1:
        return left[0]
    asked_for = " with " + ", ".join(f"{name} '{value}'" for name, value in asked.items()) if asked else ""
    listed = left or volumes
    raise UserError(
        where,
        found=f"{len(left) or 'no'} volume{'s' * (len(left) != 1)}{asked_for}; there are: "
        + "; ".join(f"{number}) {volume.title()}" for number, volume in enumerate(listed, 1)),
        expected="exactly one",
        fix="choose by description, modality, plane or part, or set choose to 'largest'"
        if left
        else "ask for what is there",
    )


def _fits(value: str, wanted: str, whole: bool) -> bool:
    value, wanted = value.casefold(), wanted.casefold()
    return value == wanted if whole else wanted in value
