"""A DICOM series as one volume: what it is, where it lies, and its values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kdseg.data.formats.dicom.geometry import Geometry, measure
from kdseg.data.formats.dicom.pixels import read_values, resample
from kdseg.data.formats.dicom.pseudonym import pseudonym
from kdseg.data.formats.dicom.stacks import Stack, plane_of
from kdseg.errors import UserError, suggestion

__all__ = ["DicomSeries", "check_uneven", "series_of"]

UNEVEN = ("refuse", "resample")


@dataclass(frozen=True)
class DicomSeries:
    """One volume: a DICOM series, or a part of one that holds several."""

    # pseudonyms of the patient's id and of the UIDs
    patient: str
    study: str
    series: str
    space: str  # pseudonym of the frame of reference: positions of two series with the same one can be compared
    # modality, description: as the header says
    modality: str
    description: str
    part: str  # what tells it from the other parts of its series, such as "acquisition 2"; empty where it is all
    plane: str  # axial, coronal or sagittal, whichever is nearest
    shape: tuple[int, int, int]  # columns, rows, slices
    spacing: tuple[float, float, float]  # in mm, in the same order
    affine: np.ndarray = field(repr=False)  # 4×4, index to mm in RAS axes
    refusal: str | None  # why it is no volume with an even, straight grid; None if it is one
    mendable: bool  # whether reading it with uneven="resample" overcomes the refusal
    copies: int  # how many files were left aside because they repeat others
    stack: Stack = field(repr=False)  # the frames in their order

    @property
    def files(self) -> list[Path]:
        """The files of the volume, in the order of their slices."""
        return list(dict.fromkeys(frame.path for frame in self.stack.frames))

    @property
    def file(self) -> str:
        """One file of the volume, enough for the reader to find the others: a path for a data list."""
        return str(min(self.files))

    def summary(self) -> dict[str, Any]:
        """What a table or JSON shows of it; nothing that names a patient."""
        names = ("patient", "study", "series", "modality", "description", "part", "plane", "shape", "spacing")
        return {name: getattr(self, name) for name in (*names, "refusal", "mendable", "copies")}

    @property
    def name(self) -> str:
        """Modality and description, where there is one."""
        return f"{self.modality} '{self.description}'" if self.description else self.modality

    def title(self) -> str:
        """The volume in a few words, for messages, such as "MR 't2_tse_tra', axial, 384×384×19"."""
        words = [self.name, self.part or self.plane, "×".join(map(str, self.shape))]
        return ", ".join(filter(None, words)) + (f" (refused: {self.refusal})" if self.refusal else "")

    def read(self, uneven: str = "refuse") -> np.ndarray:
        """The values as float32 ``(W, H, D)``, on the grid of ``affine`` and ``shape``.

        Args:
            uneven: what to do about uneven spacing, missing slices and gantry tilt: "refuse", or "resample" to an
                even, straight grid by linear interpolation.

        Raises:
            UserError: when the series is refused, or its pixels cannot be decoded.
        """
        check_uneven(uneven)
        if self.refusal and (uneven == "refuse" or not self.mendable):
            raise UserError(
                f"{Path(self.file).name} and its series ({self.name})",
                found=self.refusal,
                expected="evenly spaced, parallel grey slices that stand straight above each other",
                fix='read it with uneven="resample" (kdseg predict --uneven resample) or leave it out'
                if self.mendable
                else "leave it out",
            )
        values = read_values(self.stack.frames)
        if not self.refusal:
            return values
        return resample(values, self.stack.frames, measure(self.stack.frames))


def check_uneven(uneven: str) -> None:
    """Raise a UserError unless ``uneven`` is a setting of :meth:`DicomSeries.read`."""
    if uneven not in UNEVEN:
        raise UserError("uneven", found=f"'{uneven}'", expected="refuse or resample", fix=suggestion(uneven, UNEVEN))


def series_of(stack: Stack) -> DicomSeries:
    """Measure a stack of frames."""
    first = stack.frames[0]
    if first.flaw:
        shape = (*first.shape, len(stack.frames))
        geometry = Geometry(shape, (*first.pixel_spacing, 0.0), np.eye(4), first.flaw, mendable=False)
    else:
        geometry = measure(stack.frames)
    return DicomSeries(
        patient=pseudonym(first.patient) if first.patient else "",
        study=pseudonym(first.study),
        series=pseudonym(first.series),
        space=pseudonym(first.space) if first.space else "",
        modality=first.modality,
        description=first.description,
        part=stack.part,
        plane="" if first.flaw else plane_of(first),
        shape=geometry.shape,
        spacing=geometry.spacing,
        affine=geometry.affine,
        refusal=geometry.fault,
        mendable=geometry.mendable,
        copies=stack.copies,
        stack=stack,
    )
