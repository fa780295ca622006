"""What the segments of a DICOM SEG are: names, codes, colours, and the algorithm that found them."""

from __future__ import annotations

from typing import Any

from kdseg._version import __version__
from kdseg.masks.codes import code_of
from kdseg.masks.mark import MARK
from kdseg.masks.mask import Mask
from kdseg.pictures.colours import class_colours

__all__ = ["coding_remarks", "segment_descriptions"]


def segment_descriptions(mask: Mask) -> list[Any]:
    """A ``highdicom.seg.SegmentDescription`` for each class, in the order of the numbers, which are 1, 2, …"""
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    maker = mask.maker
    how = {"task": maker.task, "method": maker.method, "student": maker.student}
    algorithm = AlgorithmIdentificationSequence(
        name=MARK,
        family=codes.DCM.ArtificialIntelligence,
        version=__version__,
        source=MARK,
        parameters={name: value for name, value in how.items() if value},
    )
    descriptions = []
    for (number, name), colour in zip(mask.classes.items(), class_colours(len(mask.classes)), strict=True):
        code = code_of(name)
        described = SegmentDescription(
            segment_number=number,
            segment_label=name[:64],
            segmented_property_category=CodedConcept(*code.category),
            segmented_property_type=CodedConcept(*code.kind),
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
            display_color=CIELabColor.from_rgb(*colour),
        )
        if code.side is not None:
            kind = described.SegmentedPropertyTypeCodeSequence[0]
            kind.SegmentedPropertyTypeModifierCodeSequence = [CodedConcept(*code.side)]
        descriptions.append(described)
    return descriptions


def coding_remarks(mask: Mask) -> list[str]:
    """Which classes have a private code."""
    private = [name for name in mask.classes.values() if code_of(name).is_private]
    return [f"no standard code for {', '.join(private)}: coded privately"] if private else []
