"""SNOMED CT codes of structures by their names, for DICOM; a private code where there is none."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from kdseg.data.formats.dicom.structures import plain_name

__all__ = ["PRIVATE_SCHEME", "StructureCode", "code_of"]

PRIVATE_SCHEME = "99KDSEG"
"""Coding scheme of names without a code here; "99" marks private schemes in DICOM."""

CATEGORIES = {
    "anatomy": ("91723000", "Anatomical Structure"),
    "abnormal": ("49755003", "Morphologically Abnormal Structure"),
    # what is said of a name that nobody has coded
    "unknown": ("309825002", "Spatial and Relational Concept"),
}
SIDES = {"left": ("7771000", "Left"), "right": ("24028007", "Right")}
# concept → names that people give it; all codes are in DICOM's own context groups
ANATOMY = {
    ("15825003", "Aorta"): ["aorta"],
    ("28231008", "Gallbladder"): ["gallbladder", "gall bladder"],
    ("64033007", "Kidney"): ["kidney", "kidneys"],
    ("10200004", "Liver"): ["liver"],
    ("15776009", "Pancreas"): ["pancreas"],
    ("78961009", "Spleen"): ["spleen"],
    ("69695003", "Stomach"): ["stomach"],
    ("41216001", "Prostate"): ["prostate", "prostate gland", "whole gland"],
    ("399384005", "Transition zone of the prostate"): ["transition zone", "prostate transition zone"],
    ("279706003", "Peripheral zone of the prostate"): ["peripheral zone", "prostate peripheral zone"],
    ("64739004", "Seminal vesicle"): ["seminal vesicle", "seminal vesicles"],
    ("59820001", "Blood Vessel"): ["vessel", "vessels", "blood vessel", "blood vessels"],
    ("51114001", "Artery"): ["artery", "arteries"],
    ("41801008", "Coronary artery"): ["coronary", "coronary artery", "coronary arteries", "coronary vessel"],
    ("3227004", "Left Main Coronary Artery"): ["left main coronary artery"],
    ("32849002", "Esophagus"): ["esophagus", "oesophagus"],
    ("38848004", "Duodenum"): ["duodenum"],
    ("30315005", "Small intestine"): ["small bowel", "small intestine"],
    ("71854001", "Colon"): ["colon"],
    ("34402009", "Rectum"): ["rectum"],
    ("89837001", "Urinary bladder"): ["bladder", "urinary bladder"],
    ("23451007", "Adrenal gland"): ["adrenal gland", "adrenal"],
    ("64131007", "Inferior vena cava"): ["inferior vena cava", "ivc", "postcava"],
    ("48345005", "Superior vena cava"): ["superior vena cava", "svc"],
    ("32764006", "Portal vein"): ["portal vein"],
    ("80891009", "Heart"): ["heart"],
    ("87878005", "Left ventricle"): ["heart ventricle left", "ventricle of heart left"],
    ("82471001", "Left atrium"): ["heart atrium left"],
    ("73829009", "Right atrium"): ["heart atrium right"],
    ("53085002", "Right ventricle"): ["heart ventricle right"],
    ("39607008", "Lung"): ["lung", "lungs"],
    ("44567001", "Trachea"): ["trachea"],
    ("69748006", "Thyroid"): ["thyroid", "thyroid gland"],
    ("12738006", "Brain"): ["brain"],
    ("2748008", "Spinal cord"): ["spinal cord"],
    ("5366008", "Hippocampus"): ["hippocampus"],
    ("272673000", "Bone"): ["bone", "bones"],
    ("71341001", "Femur"): ["femur"],
    ("54735007", "Sacrum"): ["sacrum"],
    ("51282000", "Vertebra"): ["vertebra", "vertebrae"],
    ("35039007", "Uterus"): ["uterus"],
    ("5665001", "Retina"): ["retina"],
}
ABNORMAL = {
    ("108369006", "Neoplasm"): ["tumour", "tumor", "neoplasm", "cancer"],
    ("27925004", "Nodule"): ["nodule"],
    ("52988006", "Lesion"): ["lesion", "lesions"],
    ("4147007", "Mass"): ["mass"],
    ("367643001", "Cyst"): ["cyst"],
}


@dataclass(frozen=True)
class StructureCode:
    """What DICOM calls a structure: triples of value, scheme and meaning.

    Attributes:
        category: what kind of thing it is.
        kind: what it is.
        side: left or right, where the name says so and the code does not.
    """

    category: tuple[str, str, str]
    kind: tuple[str, str, str]
    side: tuple[str, str, str] | None = None

    @property
    def is_private(self) -> bool:
        """Whether the name has no code of SNOMED CT here."""
        return self.kind[1] == PRIVATE_SCHEME


def code_of(name: str) -> StructureCode:
    """The code of a class by its name; capitals, underscores for blanks and the order of words do not matter.

    Example:
        >>> code_of("left_kidney").kind, code_of("left_kidney").side
        (('64033007', 'SCT', 'Kidney'), ('7771000', 'SCT', 'Left'))
        >>> code_of("thing of mine").kind
        ('THINGOFM_E73C951', '99KDSEG', 'thing of mine (no standard code)')
    """
    plain = plain_name(name)
    if plain in _NAMES:
        return _NAMES[plain]
    for side, code in SIDES.items():
        words = plain.split()
        whole = plain_name(" ".join(word for word in words if word != side))
        if side in words and whole in _NAMES and _NAMES[whole].side is None:
            return StructureCode(_NAMES[whole].category, _NAMES[whole].kind, (code[0], "SCT", code[1]))
    # a code value has sixteen characters; the hash keeps long names apart
    letters = re.sub(r"[^A-Z0-9]", "", name.upper())[:8]
    value = f"{letters}_{hashlib.sha256(name.encode()).hexdigest()[:7].upper()}"
    category = CATEGORIES["unknown"]
    meaning = f"{name[:45]} (no standard code)"
    return StructureCode((category[0], "SCT", category[1]), (value, PRIVATE_SCHEME, meaning))


def _by_name() -> dict[str, StructureCode]:
    found = {}
    for category, table in (("anatomy", ANATOMY), ("abnormal", ABNORMAL)):
        value, meaning = CATEGORIES[category]
        for (code, title), names in table.items():
            structure = StructureCode((value, "SCT", meaning), (code, "SCT", title))
            found.update({plain_name(name): structure for name in names})
    return found


_NAMES = _by_name()
